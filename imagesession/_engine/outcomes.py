"""
Decide what a response object or an Images API object says: its pictures, or why there is none.

Read tolerantly: servers that speak this protocol differ in what they leave out or add. What is
relied on is named in each function; everything else may be missing, null or of another type.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from imagesession._domain.usage import Usage
from imagesession.errors import (
    GenerationFailedError,
    ImageSessionError,
    InvalidResponseError,
    RefusalError,
)

from .coerce import Json, as_id, as_list, as_mapping, as_text
from .decoding import decode_image
from .http import ReceivedImage
from .provider_errors import map_error_object

NOT_COMPLETED = frozenset({"failed", "incomplete", "cancelled"})
# Whatever else a status is, there is more to come.
FINISHED = NOT_COMPLETED | {"completed"}
IMAGE_CALL = "image_generation_call"


@attrs.frozen(kw_only=True)
class ResponseOutcome:
    """
    What a reply says of a turn.

    Attributes:
        response_id: The provider's id, if it gave one.
        finished: Whether there is nothing more to come.
        pictures: All pictures of the reply that can be read, in its order.
        spoilt: How many cannot be read.
        withheld: Whether a picture was completed of which the reply holds no bytes.
        error: Why there is no picture, when it is finished without one and not withheld.
        status: The response's status as the provider said it; empty if it said none.
        text: What the model said beside the pictures.
        model: The mainline model that answered.
        led: Whether a mainline model led; else the image model was asked directly.
        item_ids: The ids of all output items, in their order.
        usage: What was used, as the provider said it.
        stored: Whether the provider keeps the response, as far as it says.
    """

    response_id: str | None
    finished: bool
    pictures: tuple[ReceivedImage, ...] = ()
    unreadable: int = 0
    withheld: bool = False
    error: ImageSessionError | None = None
    status: str = ""
    text: str = ""
    model: str | None = None
    used_mainline: bool = True
    item_ids: tuple[str, ...] = ()
    usage: Usage = Usage()
    stored: bool = True

    @property
    def all_unreadable(self) -> bool:
        """
        Whether there were pictures, of which none can be read.
        """
        return self.unreadable > 0 and not self.pictures


def parse_response_object(response: Json) -> ResponseOutcome:
    """
    Read a response object, as a reply's body or as the last event of a stream carries it.

    Relied on: `status` or `output`, and in an image item `result`. An item's own status is not:
    completed replies have been seen whose item still said "generating" beside a whole picture.

    Raises:
        InvalidResponseError: It is no response object.
    """
    status = as_text(response.get("status"))
    if not status and "output" not in response:
        raise InvalidResponseError(
            "The provider's reply is no response object; is this the right URL?"
        )
    items = _items(response)
    pictures, problems = _pictures(items)
    text = "\n".join(filter(None, (said for item in items for said in _text_parts(item))))
    finished = bool(pictures or problems) or status in FINISHED or not status
    withheld = finished and not (pictures or problems) and _is_withheld(response, items)
    error: ImageSessionError | None = None
    if finished and not (pictures or withheld):
        error = problems[0] if problems else _no_picture(response, items, text)
    return ResponseOutcome(
        response_id=as_id(response.get("id")),
        finished=finished,
        pictures=pictures,
        unreadable=len(problems),
        withheld=withheld,
        error=error,
        status=status,
        text=text,
        model=as_text(response.get("model")) or None,
        item_ids=tuple(filter(None, (as_id(item.get("id")) for item in items))),
        usage=_usage(response),
        stored=response.get("store") is not False,
    )


def read_images_object(body: Json) -> ResponseOutcome:
    """
    Read the object with which the Images API answers.

    Relied on: `data`, and in each of its members `b64_json`, or a data URL in `url`.
    """
    members = [as_mapping(member) for member in as_list(body.get("data"))]
    pictures, problems = _read_each(members)
    error: ImageSessionError | None = problems[0] if problems else None
    if not members:
        error = GenerationFailedError("The provider's reply has no picture and gives no reason.")
    return ResponseOutcome(
        response_id=None,
        finished=True,
        pictures=pictures,
        unreadable=len(problems),
        error=None if pictures else error,
        used_mainline=False,
        usage=read_images_usage(body),
    )


def read_images_usage(body: Json) -> Usage:
    """
    Read what an answer of the Images API says was used.
    """
    usage = dict(as_mapping(body.get("usage")))
    if body.get("svg_usage"):
        usage["svg_usage"] = body["svg_usage"]
    return Usage(mainline=None, image=usage or None)


def decode_image_item(item: Json) -> ReceivedImage:
    """
    Decode the picture of an image item, an event, or a member of an Images API object.

    Raises:
        InvalidResponseError: It is no base64, or no picture.
    """
    encoded = encoded_picture(item)
    if isinstance(encoded, ReceivedImage):
        return encoded
    data, facts = decode_image(encoded)
    return ReceivedImage(
        data=data,
        facts=facts,
        revised_prompt=as_text(item.get("revised_prompt")) or None,
        call_id=as_id(item.get("id")),
    )


def readable_picture(item: Json) -> ReceivedImage | None:
    """
    Same as `decode_image_item`, but returns None for what cannot be read.
    """
    try:
        return decode_image_item(item)
    except InvalidResponseError:
        return None


def encoded_picture(item: Json) -> object:
    """
    Return what an object holds of a picture: its base64, a URL, or what a stream decoded before.
    """
    return item.get("result") or item.get("b64_json") or item.get("url")


def is_image_call(item: Json) -> bool:
    """
    Tell whether an output item is a call of the image tool.
    """
    return item.get("type") == IMAGE_CALL


def _pictures(items: list[Json]) -> tuple[tuple[ReceivedImage, ...], list[InvalidResponseError]]:
    return _read_each([item for item in items if is_image_call(item) and encoded_picture(item)])


def _read_each(holders: list[Json]) -> tuple[tuple[ReceivedImage, ...], list[InvalidResponseError]]:
    """
    Read all pictures; one that is spoilt does not take the others with it.
    """
    pictures: list[ReceivedImage] = []
    problems: list[InvalidResponseError] = []
    for holder in holders:
        try:
            pictures.append(decode_image_item(holder))
        except InvalidResponseError as error:
            problems.append(error)
    return tuple(pictures), problems


def _is_withheld(response: Json, items: list[Json]) -> bool:
    """
    Tell whether an image call was completed without bytes, and nothing says that it failed.
    """
    calls = [item for item in items if is_image_call(item)]
    if not calls or response.get("error") or _refusal(items):
        return False
    completed = as_text(response.get("status")) in {"completed", ""}
    made = any(as_text(call.get("status")) not in NOT_COMPLETED for call in calls)
    return completed and made and not any(call.get("error") for call in calls)


def _text_parts(item: Json) -> Iterator[str]:
    """
    Yield the texts of a message item.
    """
    if item.get("type") == "message":
        for part in as_list(item.get("content")):
            if as_mapping(part).get("type") == "output_text":
                yield as_text(as_mapping(part).get("text"))


def _refusal(items: list[Json]) -> str:
    parts = (part for item in items for part in as_list(item.get("content")))
    return " ".join(filter(None, (as_text(as_mapping(part).get("refusal")) for part in parts)))


def _no_picture(response: Json, items: list[Json], text: str) -> ImageSessionError:
    """
    Say why a finished reply has no picture.
    """
    errors = (_error_in(holder) for holder in (response, *items))
    error: Json = next(filter(None, errors), as_mapping(None))
    refusal = _refusal(items)
    status = as_text(response.get("status"))
    if error:
        return map_error_object(error)
    if refusal or (text and status in {"completed", ""}):
        said = refusal or text
        return RefusalError(
            f"The model answered without making a picture: {said!r} Ask for it in other words.",
            said,
        )
    if status == "incomplete":
        reason = (
            as_text(as_mapping(response.get("incomplete_details")).get("reason")) or "no reason"
        )
        return GenerationFailedError(f"The reply is incomplete ({reason}) and has no picture.")
    if status == "cancelled":
        return GenerationFailedError("The generation was cancelled before there was a picture.")
    return GenerationFailedError(
        f"The reply ({status or 'no status'}) has no picture and no reason."
    )


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
        # What the author of an SVG used is told apart, with each of its pictures.
        image["svg_usage"] = authors
    return Usage(mainline=dict(as_mapping(response.get("usage"))) or None, image=image or None)


def _items(response: Json) -> list[Json]:
    return [as_mapping(item) for item in as_list(response.get("output"))]
