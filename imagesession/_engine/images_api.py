"""
The Images API: one image for one prompt, without context.

It is used for servers without the Responses API, and for options that only this API takes. Its
reply has no id to poll by, so a lost reply stays lost, and a request is sent at most once.

Source: https://developers.openai.com/api/reference/resources/images
"""

from __future__ import annotations

import attrs

from imagesession._domain.image_header import MIME_TYPES, SUFFIXES
from imagesession._domain.servers import ServerProfile

from .http import FilePart, HttpRequest, HttpResponse
from .outcomes import ResponseOutcome, read_images_object
from .payloads import (
    Item,
    PreparedRequest,
    data_url,
    image_reference,
    image_tool_params,
    with_roles,
)
from .pixels import InputImage
from .responses import read_body

GENERATIONS, EDITS = "/images/generations", "/images/edits"
# The form of an edit has no such field.
_NOT_FOR_EDITS = frozenset({"moderation"})
_NOT_FOR_GENERATIONS = frozenset({"input_fidelity"})


def create_image(
    prepared: PreparedRequest,
    images: tuple[InputImage, ...],
    prompt: str,
    timeout: float,
    server: ServerProfile,
) -> HttpRequest:
    as_edit = bool(images) and server.edits in {"form", "json"}
    body = _for_server(_body(prepared, prompt, edits=as_edit), prepared, server)
    if images and server.edits != "form":
        body |= _json_images(images, server)
    return HttpRequest(
        method="POST",
        path=EDITS if as_edit else server.generations,
        body=body,
        files=_parts(prepared, images) if server.edits == "form" else (),
        timeout=timeout,
        headers=server.headers,
    )


def _for_server(body: Item, prepared: PreparedRequest, server: ServerProfile) -> Item:
    """
    Adapt a request's options to a server. Options that it refuses were rejected before.
    """
    left_out = set(server.refuses)
    if server.image_model == "" and prepared.turn.options.image_model == "auto":
        left_out.add("model")
    body = {name: value for name, value in body.items() if name not in left_out}
    if server.response_format:
        body["response_format"] = "b64_json"
    if server.aspect_ratios and "size" in body:
        body["aspect_ratio"] = server.aspect_ratio(body.pop("size"))
    return body


def _json_images(images: tuple[InputImage, ...], server: ServerProfile) -> Item:
    urls = [data_url(image) for image in images]
    match server.edits:
        case "ref_images":
            return {"ref_images": [url.partition(",")[2] for url in urls]}
        case "input_references":
            parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
            return {"input_references": parts}
        case _:
            return {"images": [{"type": "image_url", "url": url} for url in urls]}


def create_image_json(prepared: PreparedRequest) -> Item:
    # https://developers.openai.com/api/reference/resources/images/methods/edit (images, mask)
    body = _body(prepared, with_roles(prepared), edits=bool(prepared.references))
    if prepared.references:
        body["images"] = [image_reference(image, prepared.files) for image in prepared.references]
    if prepared.mask is not None:
        body["mask"] = image_reference(prepared.mask, prepared.files)
    return body


def _body(prepared: PreparedRequest, prompt: str, *, edits: bool) -> Item:
    options = image_tool_params(prepared.turn.options)
    if (identifier := prepared.turn.options.safety_identifier) is not None:
        options["safety_identifier"] = identifier
    body: Item = {
        **options,
        "model": prepared.image_model,
        "prompt": prompt,
        "n": prepared.count,
    }
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
    return attrs.evolve(read_body(reply, read_images_object), used_mainline=False)
