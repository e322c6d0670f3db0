"""
Parse a response object or an Images API object into its images, or the reason why it has none.

Parsing is tolerant, as compatible servers leave out or add fields. Each function names the fields
that it relies on; all others may be missing, null or of another type.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from imagesession._domain.token_counts import Usage
from imagesession._domain.wording import to_sentence
from imagesession.errors import (
    GenerationFailedError,
    ImageSessionError,
    InvalidResponseError,
    RefusalError,
)

from .coerce import Json, as_id, as_list, as_mapping, as_text
from .decoding import decode_image, image_url
from .error_meanings import find_meaning
from .http import ReceivedImage
from .provider_errors import map_error_object

NOT_COMPLETED = frozenset({"failed", "incomplete", "cancelled"})
# With any other status, there is more to come.
FINISHED = NOT_COMPLETED | {"completed"}
IMAGE_CALL = "image_generation_call"
# One tier has two names: https://developers.openai.com/api/docs/guides/fast-mode
_TIERS = {"fast": "priority"}


@attrs.frozen(kw_only=True)
class ResponseOutcome:
    """
    The outcome of a turn, as a reply states it.

    Attributes:
        images: All images of the reply that can be read, in its order.
        urls: Where images are that the reply does not hold, and that were not fetched yet.
        unreadable: How many images cannot be read.
        withheld: Whether an image was completed, but the reply does not hold its bytes.
        error: Why there is no image, if it is finished without one and not withheld.
        status: The response's status, in the provider's words; empty if there is none.
        used_mainline: Whether a mainline model was used; else the image model alone.
        unexplained: Whether there is an error for which the provider gave no reason.
    """

    response_id: str | None
    finished: bool
    images: tuple[ReceivedImage, ...] = ()
    urls: tuple[str, ...] = ()
    unreadable: int = 0
    withheld: bool = False
    error: ImageSessionError | None = None
    unexplained: bool = False
    status: str = ""
    text: str = ""
    model: str | None = None
    used_mainline: bool = True
    item_ids: tuple[str, ...] = ()
    usage: Usage = Usage()
    stored: bool = True
    request_id: str | None = None

    @property
    def all_unreadable(self) -> bool:
        return self.unreadable > 0 and not self.images

    @property
    def is_doubtful(self) -> bool:
        """
        Whether there is no image, and no reason for that but damage.
        """
        return self.all_unreadable or self.unexplained


def parse_response_object(response: Json) -> ResponseOutcome:
    """
    Parse a response object, from a reply's body or the last event of a stream.

    Relies on `status` or `output`, and `result` in an image item. It does not rely on an item's
    own status, as completed replies may still have "generating" beside a whole image.
    """
    status = as_text(response.get("status"))
    if not status and "output" not in response:
        raise InvalidResponseError("The provider's reply is not a response object. Check base_url.")
    items = _items(response)
    images, problems = _decode_each([i for i in items if is_image_call(i) and encoded_image(i)])
    text = "\n".join(filter(None, (part for item in items for part in _text_parts(item))))
    finished = bool(images or problems) or status in FINISHED or not status
    withheld = finished and not (images or problems) and _is_withheld(response, items)
    error: ImageSessionError | None = None
    unexplained = False
    if finished and not (images or withheld):
        error = problems[0] if problems else _missing_image_error(response, items, text)
        unexplained = error is None
        error = error or GenerationFailedError(
            f"The reply ({status or 'no status'}) has no image and no reason."
        )
    return ResponseOutcome(
        response_id=as_id(response.get("id")),
        finished=finished,
        images=images,
        unreadable=len(problems),
        withheld=withheld,
        error=error,
        unexplained=unexplained,
        status=status,
        text=text,
        model=as_text(response.get("model")) or None,
        item_ids=tuple(filter(None, (as_id(item.get("id")) for item in items))),
        usage=_usage(response),
        stored=response.get("store") is not False,
    )


def read_images_object(body: Json) -> ResponseOutcome:
    """
    Parse a reply object of the Images API.

    Relies on `data`, and in each of its items on `b64_json` or `url`. A gateway may answer with a
    response instead.
    """
    if isinstance(body.get("output"), list) and not as_list(body.get("data")):
        return parse_response_object(body)
    items = [as_mapping(item) for item in as_list(body.get("data"))]
    urls = tuple(filter(None, (image_url(encoded_image(item)) for item in items)))
    images, problems = _decode_each([i for i in items if image_url(encoded_image(i)) is None])
    error: ImageSessionError | None = problems[0] if problems else None
    if not items:
        error = GenerationFailedError("The provider's reply has no image and gives no reason.")
    return ResponseOutcome(
        response_id=None,
        finished=True,
        images=images,
        urls=urls,
        unreadable=len(problems),
        error=None if images or urls else error,
        used_mainline=False,
        usage=read_images_usage(body),
    )


def without_urls(outcome: ResponseOutcome) -> ResponseOutcome:
    """
    Return an outcome whose images are not fetched, if it has them by URL only, with an error that
    names the first URL.
    """
    if not outcome.urls:
        return outcome
    error = outcome.error or InvalidResponseError(
        f"The provider sent the URL of an image instead of the image: {outcome.urls[0]}. Fetch it "
        "yourself before it expires."
    )
    unreadable = outcome.unreadable + len(outcome.urls)
    error_if_none = None if outcome.images else error
    return attrs.evolve(outcome, urls=(), unreadable=unreadable, error=error_if_none)


def read_images_usage(body: Json) -> Usage:
    usage = dict(as_mapping(body.get("usage")))
    if body.get("svg_usage"):
        usage["svg_usage"] = body["svg_usage"]
    return Usage(mainline=None, image=usage or None)


def decode_image_item(item: Json) -> ReceivedImage:
    encoded = encoded_image(item)
    if isinstance(encoded, ReceivedImage):
        return encoded
    data, facts = decode_image(encoded)
    return ReceivedImage(
        data=data,
        facts=facts,
        revised_prompt=as_text(item.get("revised_prompt")) or None,
        call_id=as_id(item.get("id")),
    )


def decode_image_or_none(item: Json) -> ReceivedImage | None:
    try:
        return decode_image_item(item)
    except InvalidResponseError:
        return None


def encoded_image(item: Json) -> object:
    """
    Return an object's image as base64, as a URL, or as a stream has already decoded it.
    """
    return item.get("result") or item.get("b64_json") or item.get("url")


def is_image_call(item: Json) -> bool:
    return item.get("type") == IMAGE_CALL


def _decode_each(items: list[Json]) -> tuple[tuple[ReceivedImage, ...], list[InvalidResponseError]]:
    """
    Decode all images; an unreadable one does not affect the others.
    """
    images: list[ReceivedImage] = []
    problems: list[InvalidResponseError] = []
    for item in items:
        try:
            images.append(decode_image_item(item))
        except InvalidResponseError as error:
            problems.append(error)
    return tuple(images), problems


def _is_withheld(response: Json, items: list[Json]) -> bool:
    """
    Return whether an image call was completed without bytes and without a failure.
    """
    calls = [item for item in items if is_image_call(item)]
    if not calls or response.get("error") or _refusal(items):
        return False
    completed = as_text(response.get("status")) in {"completed", ""}
    made = any(as_text(call.get("status")) not in NOT_COMPLETED for call in calls)
    return completed and made and not any(call.get("error") for call in calls)


def _text_parts(item: Json) -> Iterator[str]:
    if item.get("type") == "message":
        for part in as_list(item.get("content")):
            if as_mapping(part).get("type") == "output_text":
                yield as_text(as_mapping(part).get("text"))


def _refusal(items: list[Json]) -> str:
    parts = (part for item in items for part in as_list(item.get("content")))
    return " ".join(filter(None, (as_text(as_mapping(part).get("refusal")) for part in parts)))


def _missing_image_error(response: Json, items: list[Json], text: str) -> ImageSessionError | None:
    errors = (_error_in(holder) for holder in (response, *items))
    error: Json = next(filter(None, errors), as_mapping(None))
    refusal = _refusal(items)
    status = as_text(response.get("status"))
    if error:
        return map_error_object(error)
    if refusal or (text and status in {"completed", ""}):
        message = refusal or text
        return RefusalError(
            f"The model answered without making an image: {to_sentence(message)} Rephrase the "
            "prompt.",
            message,
        )
    if status == "incomplete":
        return _incomplete_error(response)
    if status == "cancelled":
        return GenerationFailedError("The generation was cancelled before there was an image.")
    return None


def _incomplete_error(response: Json) -> ImageSessionError:
    reason = as_text(as_mapping(response.get("incomplete_details")).get("reason")) or "no reason"
    message = f"The reply is incomplete ({reason}) and has no image."
    filters = response.get("content_filters")
    meant = find_meaning({"code": reason, "message": message, "content_filters": filters})
    return meant or GenerationFailedError(message)


def _error_in(holder: Json) -> Json:
    """
    Return the error of a response or an item; some servers send a plain text.
    """
    error = holder.get("error")
    return {"message": error} if isinstance(error, str) and error else as_mapping(error)


def _usage(response: Json) -> Usage:
    tools = as_mapping(response.get("tool_usage"))
    image: dict[str, Any] = dict(as_mapping(tools.get("image_gen")))
    authors = [item["svg_usage"] for item in _items(response) if item.get("svg_usage")]
    if authors:
        # The usage of an SVG's author is listed separately, with each image.
        image["svg_usage"] = authors
    return Usage(
        mainline=dict(as_mapping(response.get("usage"))) or None,
        image=image or None,
        tier=_TIERS.get(tier := as_text(response.get("service_tier")), tier) or None,
    )


def _items(response: Json) -> list[Json]:
    return [as_mapping(item) for item in as_list(response.get("output"))]
