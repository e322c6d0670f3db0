"""
Build the requests that the provider is sent.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import attrs
import pybase64

from imagesession._domain.image_header import MIME_TYPES
from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import Turn

from .http import HttpRequest
from .store import InputImage

Item = dict[str, Any]
Mode = Literal["background stream", "stream", "plain"]
"""
How a response comes: as a stream of events while the provider works in the background, so that it
can be resumed and polled; as a stream that ends with its connection; or as one reply.
"""
# A stream that fell silent is resumed, which is free.
_STREAM_SILENCE = 60.0


@attrs.frozen(kw_only=True)
class ConversationContext:
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
    picture: InputImage | None = None


@attrs.frozen(kw_only=True)
class PreparedRequest:
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
    references: tuple[InputImage, ...] = ()
    based: bool = False
    mask: InputImage | None = None
    markup: InputImage | None = None
    edits: bool = False
    partial_images: int = 0
    files: Mapping[str, str] = attrs.field(factory=dict[str, str])


def create_response(
    prepared: PreparedRequest, context: ConversationContext, mode: Mode, *, store: bool = True
) -> HttpRequest:
    """
    Build the request that is paid for.

    Args:
        prepared: What is wanted.
        context: How the model knows what came before.
        mode: How the response comes.
        store: Whether the provider may keep it.

    Source: https://developers.openai.com/api/reference/resources/responses/methods/create
    """
    body: Item = {
        "model": prepared.mainline,
        "input": [*context.messages, _message(prepared, context.picture)],
        "tools": [_tool(prepared, context)],
        # Without it the model may answer in words and bill for them.
        "tool_choice": {"type": "image_generation"},
        # Said explicitly: background responses are otherwise dropped after some ten minutes.
        "store": store,
        # Ours, so that a reply can be told by the turn that it belongs to.
        "metadata": {"imagesession_turn": prepared.turn.id},
    }
    if context.conversation is not None:
        body["conversation"] = context.conversation
    if context.previous_response_id is not None:
        body["previous_response_id"] = context.previous_response_id
    if prepared.brief:
        # Instructions are carried over by neither, so they go with every turn.
        body["instructions"] = prepared.brief
    if mode == "background stream":
        body["background"] = True
    if mode != "plain":
        body["stream"] = True
    # A stream that fell silent is not worth waiting for where it can be resumed.
    silence = _STREAM_SILENCE if mode == "background stream" else None
    return HttpRequest(method="POST", path="/responses", body=body, silence=silence)


def retrieve_response(
    response_id: str, timeout: float = 30.0, silence: float | None = None
) -> HttpRequest:
    """
    Build the free request that asks how far a reply is.

    Args:
        response_id: The reply's id.
        timeout: Seconds in all.
        silence: Seconds without a byte.
    """
    # The id is the provider's word, and need not be fit for a path.
    path = f"/responses/{urllib.parse.quote(response_id, safe='', errors='replace')}"
    return HttpRequest(method="GET", path=path, timeout=timeout, silence=silence)


def resume(response_id: str, after: int | None, timeout: float) -> HttpRequest:
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
    return HttpRequest(method="GET", path=path, timeout=timeout, silence=_STREAM_SILENCE)


def cancel_response(response_id: str, timeout: float = 30.0) -> HttpRequest:
    """
    Build the free request that stops what is under way in the background.

    Source: https://developers.openai.com/api/reference/resources/responses/methods/cancel
    """
    path = f"/responses/{urllib.parse.quote(response_id, safe='', errors='replace')}/cancel"
    return HttpRequest(method="POST", path=path, body={}, timeout=timeout)


def _message(prepared: PreparedRequest, last: InputImage | None) -> Item:
    pictures = prepared.references if last is None else (last, *prepared.references)
    return user_message(
        prepared.turn.prompt, (input_image(picture, prepared.files) for picture in pictures)
    )


def user_message(text: str, pictures: Iterable[Item] = ()) -> Item:
    """
    Build what the user says: pictures first, then words about them.
    """
    return {"role": "user", "content": [*pictures, {"type": "input_text", "text": text}]}


def input_image(picture: InputImage, files: Mapping[str, str]) -> Item:
    """
    Build a picture of a message: by its id where the provider holds it, else with its bytes.
    """
    return {"type": "input_image", **image_reference(picture, files)}


def image_reference(picture: InputImage, files: Mapping[str, str]) -> Item:
    """
    Say where a picture is: with the provider, or here in full.
    """
    if picture.sha256 in files:
        return {"file_id": files[picture.sha256]}
    return {"image_url": _data_url(picture)}


def _data_url(picture: InputImage) -> str:
    """
    Write a picture as a data URL.
    """
    encoded = pybase64.b64encode(picture.data).decode("ascii")
    return f"data:{MIME_TYPES[picture.facts.format]};base64,{encoded}"


def _tool(prepared: PreparedRequest, context: ConversationContext) -> Item:
    tool: Item = {"type": "image_generation", **image_tool_params(prepared.turn.options)}
    if prepared.partial_images:
        tool["partial_images"] = prepared.partial_images
    shown = prepared.based or context.picture is not None
    if prepared.edits and (shown or context.knows):
        tool["action"] = "edit"
    if prepared.mask is not None:
        tool["input_image_mask"] = image_reference(prepared.mask, prepared.files)
    return tool


def image_tool_params(options: GenerateOptions) -> Item:
    """
    Name what differs from the defaults, in the wire's words; the provider fills in the rest.
    """
    named: Item = {
        "model": None if options.image_model == "auto" else options.image_model,
        "size": _unless_auto(options.size),
        "quality": _unless_auto(options.quality),
        "background": _unless_auto(options.background),
        "output_format": None if options.output_format == "png" else options.output_format,
        "output_compression": options.output_compression,
        "input_fidelity": options.input_fidelity,
        "moderation": _unless_auto(options.moderation),
        "complexity": options.complexity,
        "frame_count": options.frames,
        "frame_duration_ms": options.frame_ms,
        "svg": None if options.svg_model is None else {"model": options.svg_model},
    }
    return {name: value for name, value in named.items() if value is not None}


def _unless_auto(value: str) -> str | None:
    return None if value == "auto" else value
