"""
Build the requests to the provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import attrs
import pybase64

from imagesession._domain.image_header import MIME_TYPES
from imagesession._domain.options import GenerateOptions
from imagesession._domain.servers import ServerProfile
from imagesession._domain.turn import Turn

from .http import HttpRequest, to_path
from .pixels import InputImage

Item = dict[str, Any]
Mode = Literal["background stream", "stream", "plain", "background"]
"""
How a response is delivered: as a stream of events while the provider works in the background, which
can be resumed and polled; as a stream that ends with its connection; as one reply; or, for a
request within a completion window, only by polling it later.
"""
# A silent stream is resumed, which is free.
_STREAM_SILENCE = 60.0


@attrs.frozen(kw_only=True)
class ConversationContext:
    """
    How the model knows the earlier turns: by an id, or by messages that are sent again.

    Attributes:
        previous_response_id: The response that is continued; not within a conversation.
        provider_has_image: Whether the provider knows the last image by such an id.
        image: The last image, to put before the new prompt.
    """

    conversation: str | None = None
    previous_response_id: str | None = None
    provider_has_image: bool = False
    messages: tuple[Item, ...] = ()
    image: InputImage | None = None


@attrs.frozen(kw_only=True)
class PreparedRequest:
    """
    A request for an image whose options and inputs were checked.

    Attributes:
        image_model: The name of the image model, if the API needs one.
        references: The input images; the one to edit comes first.
        edits_first_reference: Whether the first of them is the one to edit; otherwise that is the
            last image of the conversation, if there is one.
        markup: A drawing that lies over the first image.
        count: How many images are requested; more than one of the Images API only.
        files: The provider's file ids, by the images' digests.
    """

    turn: Turn
    mainline: str
    image_model: str = ""
    session_description: str = ""
    references: tuple[InputImage, ...] = ()
    edits_first_reference: bool = False
    mask: InputImage | None = None
    markup: InputImage | None = None
    edits: bool = False
    partial_images: int = 0
    count: int = 1
    files: Mapping[str, str] = attrs.field(factory=dict[str, str])


def create_response(
    prepared: PreparedRequest,
    context: ConversationContext,
    mode: Mode,
    server: ServerProfile,
    *,
    store: bool = True,
    cache_key: bool = True,
) -> HttpRequest:
    """
    Build the paid request.

    Source: https://developers.openai.com/api/reference/resources/responses/methods/create and
    https://developers.openai.com/api/docs/guides/prompt-caching
    """
    body: Item = {
        "model": prepared.mainline,
        "input": [*context.messages, _message(prepared, context.image)],
        "tools": [_tool(prepared, context)],
        # Without it the model may answer with text and bill for it.
        "tool_choice": {"type": "image_generation"},
        # Set explicitly: background responses are otherwise deleted after about ten minutes.
        "store": store,
        # Lets a person match a stored response to its turn.
        "metadata": {"imagesession_turn": prepared.turn.id},
        **_optional_params(prepared, context, mode, cache_key=cache_key),
    }
    headers = dict(server.headers)
    if server.model_header is not None and prepared.turn.options.image_model != "auto":
        headers[server.model_header] = body["tools"][0].pop("model")
    # A silent stream is not worth waiting for if it can be resumed.
    silence = _STREAM_SILENCE if mode == "background stream" else None
    return HttpRequest(
        method="POST", path="/responses", body=body, silence=silence, headers=headers
    )


def _optional_params(
    prepared: PreparedRequest, context: ConversationContext, mode: Mode, *, cache_key: bool
) -> Item:
    options, session = prepared.turn.options, prepared.turn.session
    effort, threshold = options.reasoning_effort, options.compact_threshold
    compaction = [{"type": "compaction", "compact_threshold": threshold}]
    params: Item = {
        "conversation": context.conversation,
        "previous_response_id": context.previous_response_id,
        "safety_identifier": options.safety_identifier,
        "reasoning": None if effort is None else {"effort": effort},
        # Neither of the first two carries instructions over, so they are sent with every turn.
        "instructions": prepared.session_description or None,
        "service_tier": _unless_auto(options.service_tier),
        # Earlier turns are then more often read from the cache, at a fraction of the price.
        "prompt_cache_key": session if cache_key else None,
        # https://developers.openai.com/api/docs/guides/compaction
        "context_management": None if session is None or threshold is None else compaction,
        "background": mode in {"background stream", "background"} or None,
        "stream": mode in {"background stream", "stream"} or None,
        # https://developers.openai.com/api/docs/guides/background
        "background_options": (
            {"completion_window": prepared.turn.within} if mode == "background" else None
        ),
    }
    return _given(params)


def retrieve_response(
    response_id: str, timeout: float = 30.0, silence: float | None = None
) -> HttpRequest:
    path = to_path("responses", response_id)
    return HttpRequest(method="GET", path=path, timeout=timeout, silence=silence)


def resume(response_id: str, after: int | None, timeout: float) -> HttpRequest:
    # https://developers.openai.com/api/docs/guides/background (streaming a background response)
    path = to_path("responses", response_id, stream="true", starting_after=after)
    return HttpRequest(method="GET", path=path, timeout=timeout, silence=_STREAM_SILENCE)


def cancel_response(response_id: str) -> HttpRequest:
    # https://developers.openai.com/api/reference/resources/responses/methods/cancel
    path = to_path("responses", response_id, "cancel")
    return HttpRequest(method="POST", path=path, body={}, timeout=30.0)


def _message(prepared: PreparedRequest, last: InputImage | None) -> Item:
    images = prepared.references if last is None else (last, *prepared.references)
    return user_message(
        with_roles(prepared), (input_image(image, prepared.files) for image in images)
    )


def with_roles(prepared: PreparedRequest) -> str:
    """
    Return the prompt, followed by the roles of the references that have one, which are the last
    images of the request. Otherwise the model may take them for what it is to change.
    """
    prompt = sent_prompt(prepared.turn)
    roles = [image.role for image in prepared.references if image.role]
    if not roles:
        return prompt
    which = f"last {len(roles)} images are references" if roles[1:] else "last image is a reference"
    return f"{prompt}\n\nThe {which} to go by, not to change: {'; '.join(roles)}."


def sent_prompt(turn: Turn) -> str:
    """
    Return a turn's prompt as the model gets it: that of a variation says which one it is. The
    turn's own prompt is what the caller wrote.
    """
    number, count = turn.parameters.get("take"), turn.parameters.get("takes")
    if not (isinstance(number, int) and isinstance(count, int) and count > 1):
        return turn.prompt
    return (
        f"{turn.prompt}\nThis is take {number} of {count}: keep to all of the above, and differ "
        "from the other takes in what it leaves open."
    )


def user_message(text: str, images: Iterable[Item] = ()) -> Item:
    return {"role": "user", "content": [*images, {"type": "input_text", "text": text}]}


def input_image(image: InputImage, files: Mapping[str, str]) -> Item:
    return {"type": "input_image", **image_reference(image, files)}


def image_reference(image: InputImage, files: Mapping[str, str]) -> Item:
    if image.sha256 in files:
        return {"file_id": files[image.sha256]}
    return {"image_url": data_url(image)}


def data_url(image: InputImage) -> str:
    encoded = pybase64.b64encode(image.data).decode("ascii")
    return f"data:{MIME_TYPES[image.facts.format]};base64,{encoded}"


def _tool(prepared: PreparedRequest, context: ConversationContext) -> Item:
    tool: Item = {"type": "image_generation", **image_tool_params(prepared.turn.options)}
    if prepared.partial_images:
        tool["partial_images"] = prepared.partial_images
    sent = prepared.edits_first_reference or context.image is not None
    if prepared.edits and (sent or context.provider_has_image):
        tool["action"] = "edit"
    if prepared.mask is not None:
        tool["input_image_mask"] = image_reference(prepared.mask, prepared.files)
    return tool


def image_tool_params(options: GenerateOptions) -> Item:
    params: Item = {
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
    return _given(params)


def _given(params: Item) -> Item:
    return {name: value for name, value in params.items() if value is not None}


def _unless_auto(value: str) -> str | None:
    return None if value == "auto" else value
