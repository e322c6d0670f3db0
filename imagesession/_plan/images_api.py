"""
The Images API: one picture for one prompt, nothing remembered.

For servers that do not speak Responses, and for what only this API takes. Its reply has no id to
ask for again, so a lost one stays lost: it is asked for at most once.

Source: https://developers.openai.com/api/reference/resources/images
"""

from __future__ import annotations

import attrs

from imagesession._model.pictures import MIME_TYPES, SUFFIXES

from .outcomes import Outcome, read_images_object
from .replies import read_body
from .requests import Item, Order, located, tool_options
from .store import Fetched
from .wire import Part, Reply, Request

GENERATIONS, EDITS = "/images/generations", "/images/edits"
# Only generations take it: the form of an edit has no such field.
_NOT_FOR_EDITS = frozenset({"moderation"})
_NOT_FOR_GENERATIONS = frozenset({"input_fidelity"})


def draw(order: Order, pictures: tuple[Fetched, ...], words: str, timeout: float) -> Request:
    """
    Build the request: an edit where there are pictures, else a generation.

    Args:
        order: What is wanted.
        pictures: What goes along; the one that is changed comes first.
        words: The whole prompt.
        timeout: Seconds in all after which the answer counts as lost.
    """
    return Request(
        method="POST",
        path=EDITS if pictures else GENERATIONS,
        body=_body(order, words, edits=bool(pictures)),
        files=_parts(order, pictures),
        timeout=timeout,
    )


def write(order: Order) -> Item:
    """
    Write a request that names its pictures by ids instead of bringing them along, as the line of a
    batch has it.

    Args:
        order: What is wanted; what the provider does not hold goes along within the text.

    Source: https://developers.openai.com/api/reference/resources/images/methods/edit (images, mask)
    """
    body = _body(order, order.turn.prompt, edits=bool(order.references))
    if order.references:
        body["images"] = [located(picture, order.files) for picture in order.references]
    if order.mask is not None:
        body["mask"] = located(order.mask, order.files)
    return body


def _body(order: Order, words: str, *, edits: bool) -> Item:
    options = tool_options(order.turn.options)
    body: Item = {**options, "model": order.image_model, "prompt": words, "n": 1}
    left_out = _NOT_FOR_EDITS if edits else _NOT_FOR_GENERATIONS
    return {name: value for name, value in body.items() if name not in left_out}


def _parts(order: Order, pictures: tuple[Fetched, ...]) -> tuple[Part, ...]:
    field = "image" if len(pictures) == 1 else "image[]"
    extra = (("mask", order.mask), ("markup", order.markup))
    return (
        *(_part(field, picture) for picture in pictures),
        *(_part(name, picture) for name, picture in extra if picture is not None),
    )


def _part(field: str, picture: Fetched) -> Part:
    kind = picture.facts.format
    return Part(
        field=field,
        name=f"{field.removesuffix('[]')}{SUFFIXES[kind]}",
        mime=MIME_TYPES[kind],
        data=picture.data,
    )


def read_images(reply: Reply) -> Outcome:
    """
    Read the reply, whether it is an object or events.

    Raises:
        ImageSessionError: HTTP calls it an error, or it is no reply of this API.
    """
    return attrs.evolve(read_body(reply, read_images_object), led=False)
