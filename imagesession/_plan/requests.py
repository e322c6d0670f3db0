"""
Build the requests that the provider is sent.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import attrs
import pybase64

from imagesession._model.options import Options
from imagesession._model.pictures import MIME_TYPES
from imagesession._model.turns import Turn

from .store import Fetched
from .wire import Request

Item = dict[str, Any]
Mode = Literal["background stream", "stream", "plain"]
"""
How a response comes: as a stream of events while the provider works in the background, so that it
can be resumed and polled; as a stream that ends with its connection; or as one reply.
"""
# A stream that fell silent is resumed, which is free.
_STREAM_SILENCE = 60.0


@attrs.frozen(kw_only=True)
class Context:
    """
    How the model knows what came before: by an id, or by being told again; else there is nothing.

    Attributes:
        conversation: The conversation in which the request is made.
        previous_response_id: The reply that is continued; not within a conversation.
        knows: Whether the provider knows the last picture by such an id.
        messages: The conversation until now.
        picture: The last picture, to stand before the new words.
    """

    conversation: str | None = None
    previous_response_id: str | None = None
    knows: bool = False
    messages: tuple[Item, ...] = ()
    picture: Fetched | None = None


@attrs.frozen(kw_only=True)
class Order:
    """
    All that one request for a picture needs.

    Attributes:
        turn: The turn that it is for, with its prompt and options.
        mainline: The name of the mainline model.
        image_model: The name of the model that draws, where the wire wants one.
        brief: What the session is about.
        references: Pictures that go along with the prompt; the one that is changed comes first.
        based: Whether the first of them is the one that is changed; otherwise that is the last
            picture of the conversation, if there is one.
        mask: Marks what may change.
        markup: A drawing that lies over the first picture.
        edits: Whether a picture is changed, not a new one made.
        partial_images: How many pictures on the way are asked for.
        files: What the provider holds already: its id of a picture, by the picture's digest.
    """

    turn: Turn
    mainline: str
    image_model: str = ""
    brief: str = ""
    references: tuple[Fetched, ...] = ()
    based: bool = False
    mask: Fetched | None = None
    markup: Fetched | None = None
    edits: bool = False
    partial_images: int = 0
    files: Mapping[str, str] = attrs.field(factory=dict[str, str])


def create(order: Order, context: Context, mode: Mode, *, store: bool = True) -> Request:
    """
    Build the request that is paid for.

    Args:
        order: What is wanted.
        context: How the model knows what came before.
        mode: How the response comes.
        store: Whether the provider may keep it.

    Source: https://developers.openai.com/api/reference/resources/responses/methods/create
    """
    body: Item = {
        "model": order.mainline,
        "input": [*context.messages, _message(order, context.picture)],
        "tools": [_tool(order, context)],
        # Without it the model may answer in words and bill for them.
        "tool_choice": {"type": "image_generation"},
        # Said explicitly: background responses are otherwise dropped after some ten minutes.
        "store": store,
        # Ours, so that a reply can be told by the turn that it belongs to.
        "metadata": {"imagesession_turn": order.turn.id},
    }
    if context.conversation is not None:
        body["conversation"] = context.conversation
    if context.previous_response_id is not None:
        body["previous_response_id"] = context.previous_response_id
    if order.brief:
        # Instructions are carried over by neither, so they go with every turn.
        body["instructions"] = order.brief
    if mode == "background stream":
        body["background"] = True
    if mode != "plain":
        body["stream"] = True
    # A stream that fell silent is not worth waiting for where it can be resumed.
    silence = _STREAM_SILENCE if mode == "background stream" else None
    return Request(method="POST", path="/responses", body=body, silence=silence)


def retrieve(response_id: str, timeout: float = 30.0, silence: float | None = None) -> Request:
    """
    Build the free request that asks how far a reply is.

    Args:
        response_id: The reply's id.
        timeout: Seconds in all.
        silence: Seconds without a byte.
    """
    # The id is the provider's word, and need not be fit for a path.
    path = f"/responses/{urllib.parse.quote(response_id, safe='', errors='replace')}"
    return Request(method="GET", path=path, timeout=timeout, silence=silence)


def resume(response_id: str, after: int | None, timeout: float) -> Request:
    """
    Build the free request that goes on with the stream of a response in the background.

    Args:
        response_id: The response's id.
        after: The sequence number of the last event that came; None to hear all from the start.
        timeout: Seconds in all.

    Source: https://developers.openai.com/api/docs/guides/background (streaming a background
    response)
    """
    path = f"/responses/{urllib.parse.quote(response_id, safe='', errors='replace')}?stream=true"
    if after is not None:
        path += f"&starting_after={after}"
    return Request(method="GET", path=path, timeout=timeout, silence=_STREAM_SILENCE)


def cancel(response_id: str, timeout: float = 30.0) -> Request:
    """
    Build the free request that stops what is under way in the background.

    Source: https://developers.openai.com/api/reference/resources/responses/methods/cancel
    """
    path = f"/responses/{urllib.parse.quote(response_id, safe='', errors='replace')}/cancel"
    return Request(method="POST", path=path, body={}, timeout=timeout)


def _message(order: Order, last: Fetched | None) -> Item:
    pictures = order.references if last is None else (last, *order.references)
    return user_message(
        order.turn.prompt, (input_image(picture, order.files) for picture in pictures)
    )


def user_message(text: str, pictures: Iterable[Item] = ()) -> Item:
    """
    Build what the user says: pictures first, then words about them.
    """
    return {"role": "user", "content": [*pictures, {"type": "input_text", "text": text}]}


def input_image(picture: Fetched, files: Mapping[str, str]) -> Item:
    """
    Build a picture of a message: by its id where the provider holds it, else with its bytes.
    """
    return {"type": "input_image", **located(picture, files)}


def located(picture: Fetched, files: Mapping[str, str]) -> Item:
    """
    Say where a picture is: with the provider, or here in full.
    """
    if picture.sha256 in files:
        return {"file_id": files[picture.sha256]}
    return {"image_url": _data_url(picture)}


def _data_url(picture: Fetched) -> str:
    """
    Write a picture as a data URL.
    """
    encoded = pybase64.b64encode(picture.data).decode("ascii")
    return f"data:{MIME_TYPES[picture.facts.format]};base64,{encoded}"


def _tool(order: Order, context: Context) -> Item:
    tool: Item = {"type": "image_generation", **tool_options(order.turn.options)}
    if order.partial_images:
        tool["partial_images"] = order.partial_images
    shown = order.based or context.picture is not None
    if order.edits and (shown or context.knows):
        tool["action"] = "edit"
    if order.mask is not None:
        tool["input_image_mask"] = located(order.mask, order.files)
    return tool


def tool_options(options: Options) -> Item:
    """
    Name what differs from the defaults, in the wire's words; the provider fills in the rest.
    """
    named: Item = {
        "model": None if options.image_model == "auto" else options.image_model,
        "size": _unless_auto(options.size),
        "quality": _unless_auto(options.quality),
        "background": _unless_auto(options.background),
        "output_format": None if options.format == "png" else options.format,
        "output_compression": options.compression,
        "input_fidelity": options.fidelity,
        "moderation": _unless_auto(options.moderation),
        "complexity": options.complexity,
        "frame_count": options.frames,
        "frame_duration_ms": options.frame_ms,
        "svg": None if options.svg_model is None else {"model": options.svg_model},
    }
    return {name: value for name, value in named.items() if value is not None}


def _unless_auto(value: str) -> str | None:
    return None if value == "auto" else value
