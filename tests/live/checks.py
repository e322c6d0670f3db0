"""
What only the real service can tell, in ten checks; each yields its findings, one sentence each.
"""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import openai
from PIL import Image, ImageCms

from imagesession import Studio
from imagesession._engine.coerce import Json, as_list, as_mapping, as_text
from imagesession.errors import BatchNotReadyError, ImageSessionError

from .wire import MOST_PER_IMAGE, PurseEmptyError, Reply, Wire

_TURNS = ("a minimalist teapot logo", "more geometric", "with a blue lid")
_REFUSED = "a graphic, gory wound in close detail"
_AT_ONCE = 6
STUDIO_IMAGES = 3
"""How many images check 10 makes through the library."""


@attrs.define(kw_only=True)
class Live:
    """
    What the checks share.

    Attributes:
        wire: Sends requests as they are.
        studio: Makes images as users do, with a budget of its own.
        photo: A photo of a phone, with its colour profile; None for a made one.
        pause: Waits a number of seconds.
        turns: The replies of the three turns of check 1, by how they were sent.
        refused_prompt: A prompt that the service refuses.
        batch_minutes: How long to wait for the batch.
    """

    wire: Wire
    studio: Studio
    photo: bytes | None = None
    pause: Callable[[float], None] = time.sleep
    turns: dict[str, Reply] = attrs.field(factory=dict[str, Reply])
    refused_prompt: str = _REFUSED
    batch_minutes: float = 30.0
    conversations: list[str] = attrs.field(factory=list[str])


Check = Callable[[Live], Iterator[str]]


def accepted_forms(live: Live) -> Iterator[str]:
    """
    Background, stream and image tool together: alone, with a previous response, in a conversation.
    """
    form: dict[str, Any] = {"background": True, "stream": True}
    first = live.turns["first"] = live.wire.draw(_TURNS[0], **form)
    yield f"alone: {first}; events: {', '.join(first.events)}"
    previous = first.body.get("id")
    second = live.wire.draw(_TURNS[1], previous_response_id=previous, **form)
    live.turns["second"] = second
    yield f"with previous_response_id: {second}; status {second.body.get('status')}"
    conversation = live.wire.send("POST", "/conversations", {}).body.get("id")
    live.conversations.append(str(conversation))
    within = live.turns["conversation"] = live.wire.draw(
        _TURNS[0], conversation=conversation, **form
    )
    yield f"with conversation: {within}; status {within.body.get('status')}"


def output_types(live: Live) -> Iterator[str]:
    """
    The output items of the default model.
    """
    for name, reply in live.turns.items():
        yield f"{name}: {', '.join(str(item.get('type')) for item in reply.output)}"
    first = live.turns["first"].body
    yield f"model {first.get('model')}, service_tier {first.get('service_tier')}"
    image = live.turns["first"].item("image_generation_call")
    facts = {name: value for name, value in image.items() if name not in {"result", "id"}}
    yield f"image item: {json.dumps(facts)}"


def bare_ids(live: Live) -> Iterator[str]:
    """
    An image's id alone, in a new conversation; then with all items of its answer.
    """
    image = live.turns["first"].item("image_generation_call").get("id")
    for name, ids in (
        ("id alone", [image]),
        ("all items", [item.get("id") for item in live.turns["first"].output]),
    ):
        conversation = str(live.wire.send("POST", "/conversations", {}).body.get("id"))
        live.conversations.append(conversation)
        items: list[Json] = [{"type": "item_reference", "id": item} for item in ids]
        prompt = {"role": "user", "content": [{"type": "input_text", "text": _TURNS[1]}]}
        reply = live.wire.draw(_TURNS[1], conversation=conversation, input=[*items, prompt])
        yield f"{name}: {reply}"


def bytes_in_lookups(live: Live) -> Iterator[str]:
    """
    Whether a look-up returns the image's bytes, at once and a minute later.
    """
    lookups = {
        "GET /responses": f"/responses/{live.turns['first'].body.get('id')}",
        "GET conversation items": f"/conversations/{live.conversations[0]}/items",
    }
    for wait in (0.0, 60.0):
        live.pause(wait)
        for name, path in lookups.items():
            body = live.wire.send("GET", path).body
            items = map(as_mapping, as_list(body.get("output") or body.get("data")))
            images = (item for item in items if item.get("type") == "image_generation_call")
            sizes = [len(as_text(item.get("result"))) for item in images]
            yield f"{name}, {wait:g} s later: base64 characters by image: {sizes}"


def input_tokens(live: Live) -> Iterator[str]:
    """
    What the models are shown in turns 2 and 3: the last image, or all of them.
    """
    previous = live.turns["second"].body.get("id")
    live.turns["third"] = live.wire.draw(_TURNS[2], previous_response_id=previous)
    for name in ("first", "second", "third"):
        body = live.turns[name].body
        image = as_mapping(as_mapping(body.get("tool_usage")).get("image_gen"))
        yield (
            f"{name}: mainline {json.dumps(body.get('usage'))}; image model input "
            f"{json.dumps(image.get('input_tokens_details'))}, output {image.get('output_tokens')}"
        )


def refused_turn(live: Live) -> Iterator[str]:
    """
    What a refused turn leaves behind in a conversation.
    """
    conversation = live.conversations[0]
    path = f"/conversations/{conversation}/items"
    before = as_list(live.wire.send("GET", path).body.get("data"))
    reply = live.wire.draw(live.refused_prompt, conversation=conversation)
    yield f"reply: {reply}; items: {[item.get('type') for item in reply.output]}"
    after = as_list(live.wire.send("GET", path).body.get("data"))
    yield f"conversation: {len(before)} items before, {len(after)} after"


def rate_limit(live: Live) -> Iterator[str]:
    """
    The headers and words of an image 429: several images at once, as far as the purse allows.
    """
    live.wire.purse.require(_AT_ONCE)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        replies = list(pool.map(live.wire.draw, ["a dot"] * _AT_ONCE))
    yield f"{_AT_ONCE} at once: statuses {sorted(reply.status for reply in replies)}"
    limits = {
        name: value
        for name, value in replies[0].headers.items()
        if "ratelimit" in name or "retry" in name
    }
    yield f"headers of a reply: {json.dumps(limits)}"
    if not live.wire.limited:
        yield "no request was limited; try again on a lower tier"
    for reply in live.wire.limited[:2]:
        yield f"limited: {reply}; headers: {json.dumps(dict(reply.headers))}"


def deletion(live: Live) -> Iterator[str]:
    """
    Deleting responses, files and conversations, and whether they are gone.
    """
    uploaded = live.wire.client.files.create(
        file=("dot.png", _encoded(Image.new("RGB", (64, 64), "white"), "PNG")), purpose="vision"
    )
    responses = [as_text(reply.body.get("id")) for reply in live.turns.values()]
    paths = [
        *(f"/responses/{response}" for response in responses if response),
        f"/files/{uploaded.id}",
        *(f"/conversations/{conversation}" for conversation in live.conversations),
    ]
    for path in paths:
        kind = path.split("/")[1]
        deleted, gone = live.wire.send("DELETE", path), live.wire.send("GET", path)
        yield f"{kind}: DELETE {deleted}, then GET {gone}"


def mask_with_profile(live: Live) -> Iterator[str]:
    """
    A mask over a photo with a colour profile.
    """
    photo = live.photo or _made_photo()
    with Image.open(io.BytesIO(photo)) as opened:
        mask = Image.new("RGBA", opened.size, "black")
        yield f"photo: {_describe(opened)}"
    mask.paste((0, 0, 0, 0), (0, 0, mask.width // 2, mask.height))
    sent = [
        {"type": "input_image", "image_url": _data_url(photo, "image/jpeg")},
        {"type": "input_text", "text": "a blue sky on the left"},
    ]
    mask_url = _data_url(_encoded(mask, "PNG"), "image/png")
    tool = {"input_image_mask": {"image_url": mask_url}, "size": "auto"}
    reply = live.wire.draw("", input=[{"role": "user", "content": sent}], tool=tool)
    yield f"reply: {reply}"
    result = reply.item("image_generation_call").get("result")
    if result:
        with Image.open(io.BytesIO(base64.b64decode(result))) as answer:
            yield f"image: {_describe(answer)}"


def presets_and_batches(live: Live) -> Iterator[str]:
    """
    A preset and a batch, through the library.
    """
    live.wire.purse.require(STUDIO_IMAGES)
    live.wire.purse.spent += STUDIO_IMAGES * MOST_PER_IMAGE
    mug = live.studio.product("a mug", quality="low", size="1024x1024")
    yield f"product: {mug.turn.status}, {mug.turn.model}, {mug.cost}"
    batch = live.studio.batches.create(["a red dot", "a blue dot"], quality="low", size="1024x1024")
    yield f"batch: {batch.id}, {batch.status(live=False)}"
    try:
        results = batch.wait(timeout=60 * live.batch_minutes, progress=False)
    except BatchNotReadyError as error:
        yield f"batch: {error} Run the checks again later, with the same library."
        return
    yield f"batch: {len(results.images)} images, {[str(error) for error in results.errors]}"
    yield f"batch cost: {live.studio.costs(group_by='kind').groups.get('batch')}"


CHECKS: tuple[Check, ...] = (
    accepted_forms,
    output_types,
    bare_ids,
    bytes_in_lookups,
    input_tokens,
    refused_turn,
    rate_limit,
    deletion,
    mask_with_profile,
    presets_and_batches,
)


def report(live: Live) -> Iterator[str]:
    """
    Run all checks in order, and yield the lines of the report. A check that fails says why, and the
    next one runs all the same.
    """
    for number, check in enumerate(CHECKS, 1):
        yield f"## {number}. {' '.join((check.__doc__ or '').split())}"
        try:
            for finding in check(live):
                yield f"- {finding}"
        except PurseEmptyError as error:
            yield f"- skipped: {error}"
        except (ImageSessionError, openai.OpenAIError, LookupError, OSError) as error:
            yield f"- failed: {type(error).__name__}: {error}"
        yield f"- spent so far: ${live.wire.purse.spent:.4f}"


def _describe(image: Image.Image) -> str:
    profile = "with" if image.info.get("icc_profile") else "without"
    return f"{image.format} {image.width}x{image.height}, {profile} a colour profile"


def _data_url(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _encoded(image: Image.Image, encoding: str, **more: bytes) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, encoding, **more)
    return buffer.getvalue()


def _made_photo() -> bytes:
    srgb = ImageCms.createProfile("sRGB")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - Pillow does not say what it is
    profile = ImageCms.ImageCmsProfile(srgb).tobytes()  # pyright: ignore[reportUnknownArgumentType] - as above
    return _encoded(Image.new("RGB", (1024, 768), "olive"), "JPEG", icc_profile=profile)
