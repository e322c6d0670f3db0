"""
The Images API: one picture for one prompt, nothing remembered.

For servers that do not speak Responses, and for what only this API takes. Its reply has no id to
ask for again, so a lost one stays lost: it is asked for at most once.

Source: https://developers.openai.com/api/reference/resources/images
"""

from __future__ import annotations

from typing import Any

from imagesession._model.pictures import MIME_TYPES, SUFFIXES
from imagesession._model.usage import Usage
from imagesession.errors import GenerationError, ImageSessionError, ReplyError

from .failures import error_of
from .replies import Outcome, decode_picture, is_success, read_json
from .requests import Item, Order, located, tool_options
from .store import Fetched
from .tolerance import Json, as_list, as_mapping, as_text
from .wire import Part, Received, Reply, Request

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
    Read the reply.

    Relied on: `data`, and in each of its members `b64_json`, or a data URL in `url`.

    Raises:
        ImageSessionError: HTTP calls it an error, or it is no reply of this API.
    """
    if not is_success(reply):
        raise error_of(reply)
    return read_body(read_json(reply))


def read_body(body: Json) -> Outcome:
    """
    Read what a reply holds.
    """
    pictures: list[Received] = []
    problems: list[ReplyError] = []
    for member in map(as_mapping, as_list(body.get("data"))):
        try:
            pictures.append(_read_picture(member.get("b64_json") or member.get("url"), member))
        except ReplyError as error:
            problems.append(error)
    return Outcome(
        response_id=None,
        finished=True,
        pictures=tuple(pictures),
        spoilt=len(problems),
        error=None if pictures else _no_picture(problems),
        led=False,
        usage=Usage(mainline=None, image=_usage(body)),
    )


def _usage(body: Json) -> dict[str, Any] | None:
    usage = dict(as_mapping(body.get("usage")))
    if body.get("svg_usage"):
        usage["svg_usage"] = body["svg_usage"]
    return usage or None


def _no_picture(problems: list[ReplyError]) -> ImageSessionError:
    if problems:
        return problems[0]
    return GenerationError("The provider's reply has no picture and gives no reason.")


def _read_picture(encoded: object, member: Json) -> Received:
    if as_text(encoded).startswith(("http://", "https://")):
        raise ReplyError(
            "The provider sent the address of a picture instead of the picture; nothing is "
            "fetched from there."
        )
    data, facts = decode_picture(encoded)
    return Received(
        data=data, facts=facts, revised_prompt=as_text(member.get("revised_prompt")) or None
    )
