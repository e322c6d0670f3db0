"""
Decide what the provider's answers mean. Here, and in `failures`, an answer becomes a value or an
error, and nowhere else.

Read tolerantly: servers that speak this protocol differ in what they leave out or add. What is
relied on is named in each function; everything else may be missing, null or of another type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

import attrs
import pybase64

from imagesession._model.pictures import PictureFacts, read_facts
from imagesession._model.usage import Usage
from imagesession.errors import GenerationError, ImageSessionError, RefusedError, ReplyError

from .failures import error_of, failure_of
from .lifting import parse
from .tolerance import Json, as_list, as_mapping, as_text
from .wire import Received, Reply

_ID_FIRST = re.compile(rb'\s*\{\s*"id"\s*:\s*"([^"\\]{1,256})"')
# Whatever else a status is, there is more to come.
FINISHED = frozenset({"completed", "failed", "incomplete", "cancelled"})


@attrs.frozen(kw_only=True)
class Outcome:
    """
    What a reply says of a turn.

    Attributes:
        response_id: The provider's id, if it gave one.
        finished: Whether there is nothing more to come.
        pictures: All pictures of the reply that can be read, in its order.
        spoilt: How many cannot be read.
        error: Why there is no picture, when it is finished without one.
        text: What the model said beside them.
        model: The mainline model that answered.
        led: Whether a mainline model led; else the image model was asked directly.
        usage: What was used, as the provider said it.
    """

    response_id: str | None
    finished: bool
    pictures: tuple[Received, ...] = ()
    spoilt: int = 0
    error: ImageSessionError | None = None
    text: str = ""
    model: str | None = None
    led: bool = True
    usage: Usage = Usage()
    item_ids: tuple[str, ...] = ()
    withheld: bool = False
    stored: bool = True
    status: str = ""

    @property
    def all_spoilt(self) -> bool:
        """
        Whether there were pictures, of which none can be read.
        """
        return self.spoilt > 0 and not self.pictures


def read_reply(reply: Reply) -> Outcome:
    """
    Read the answer to a request for a response, whether created just now or asked for again.

    Raises:
        ImageSessionError: HTTP calls it an error, or it is no response object.
        ContextLostError: The conversation has to be told again.
        BackgroundRefusedError: The request has to be made in another way.
    """
    if not is_success(reply):
        raise error_of(reply)
    return read_response(read_json(reply))


def is_success(reply: Reply) -> bool:
    """
    Tell whether HTTP calls an answer a success.
    """
    return 200 <= reply.status < 300  # noqa: PLR2004 - https://www.rfc-editor.org/rfc/rfc9110#name-successful-2xx


def read_response(response: Json) -> Outcome:
    """
    Read a response object, as a reply's body or as the last event of a stream carries it.

    Relied on: `status` or `output`, and in an image item `result`. An item's own status is not:
    completed replies have been seen whose item still said "generating" beside a whole picture.

    Raises:
        ReplyError: It is no response object.
    """
    status = as_text(response.get("status"))
    if not status and "output" not in response:
        raise ReplyError("The provider's reply is no response object; is this the right URL?")
    items = _items(response)
    pictures, problems = _pictures(items)
    text = "\n".join(filter(None, (said for item in items for said in _said(item))))
    finished = bool(pictures or problems) or status in FINISHED or not status
    error = None
    if finished and not pictures:
        error = problems[0] if problems else _no_picture(response, items, text)
    return Outcome(
        response_id=as_text(response.get("id")) or None,
        finished=finished,
        pictures=pictures,
        spoilt=len(problems),
        error=error,
        text=text,
        model=as_text(response.get("model")) or None,
        usage=_usage(response),
        item_ids=tuple(as_text(item.get("id")) for item in items),
        stored=response.get("store") is not False,
        status=status,
    )


def whole_reply(body: bytes) -> Reply | None:
    """
    Return the reply whose end was not told, if all of it came: a JSON object shows its own end.

    Args:
        body: What came of an answer that HTTP calls a success.
    """
    reply = Reply(status=200, body=body)
    try:
        read_json(reply)
    except ReplyError:
        return None
    return reply


def named_id(body: bytes) -> str | None:
    """
    Return the id that stands first in a response object, of which the rest may be missing.
    """
    named = _ID_FIRST.match(body)
    return None if named is None else named[1].decode("utf-8", "replace")


def read_words(reply: Reply) -> Outcome:
    """
    Read the answer to a request for words: what is a refusal elsewhere is the answer here.

    Raises:
        ImageSessionError: HTTP calls it an error, or it is no response object.
    """
    if not is_success(reply):
        raise error_of(reply)
    response = read_json(reply)
    outcome = read_response(response)
    refusal = _refusal(_items(response))
    answered = outcome.text and isinstance(outcome.error, RefusedError) and not refusal
    return attrs.evolve(outcome, error=None) if answered else outcome


def _pictures(items: list[Json]) -> tuple[tuple[Received, ...], list[ReplyError]]:
    """
    Read all pictures; one that is spoilt does not take the others with it.
    """
    pictures: list[Received] = []
    problems: list[ReplyError] = []
    for item in filter(_has_picture, items):
        try:
            pictures.append(read_picture(item))
        except ReplyError as error:
            problems.append(error)
    return tuple(pictures), problems


def read_picture(item: Json) -> Received:
    """
    Decode the picture of an `image_generation_call` item.

    Raises:
        ReplyError: It is no base64, or no picture.
    """
    data, facts = decode_picture(item.get("result"))
    return Received(
        data=data,
        facts=facts,
        revised_prompt=as_text(item.get("revised_prompt")) or None,
        call_id=as_text(item.get("id")) or None,
    )


def decode_picture(encoded: object) -> tuple[bytes, PictureFacts]:
    """
    Decode base64, bare or as a data URL, and recognise the picture by its bytes.

    Args:
        encoded: A text, or a view of the body that it came in.

    Raises:
        ReplyError: It is no base64, or no whole picture.
    """
    try:
        data = pybase64.b64decode(_base64_of(encoded), validate=True)
    except ValueError as error:
        raise ReplyError(f"The provider's picture is not base64: {error}.") from error
    facts = read_facts(data)
    if facts is None:
        raise ReplyError(
            f"The provider's picture of {len(data):,} bytes is no whole PNG, JPEG, WebP, GIF or "
            "SVG."
        )
    return data, facts


def _base64_of(encoded: object) -> bytes | memoryview[int]:
    """
    Return the base64 in a text or a view of one, without what a data URL has before it.

    Raises:
        ValueError: It is something else, or not ASCII.
    """
    if isinstance(encoded, memoryview):
        view = cast("memoryview[int]", encoded)
        return bytes(view).partition(b",")[2] if bytes(view[:5]) == b"data:" else view
    if isinstance(encoded, str):
        text = encoded.partition(",")[2] if encoded.startswith("data:") else encoded
        return text.encode("ascii")
    raise ValueError(f"{type(encoded).__name__} instead of a text")


def _has_picture(item: Json) -> bool:
    return item.get("type") == "image_generation_call" and bool(item.get("result"))


def _said(item: Json) -> Iterator[str]:
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
    errors = [as_mapping(response.get("error")), *(as_mapping(item.get("error")) for item in items)]
    error: Json = next(filter(None, errors), as_mapping(None))
    refusal = _refusal(items)
    status = as_text(response.get("status"))
    if error:
        return failure_of(error)
    if refusal or (text and status in {"completed", ""}):
        said = refusal or text
        return RefusedError(
            f"The model answered without making a picture: {said!r} Ask for it in other words.",
            said,
        )
    if status == "incomplete":
        reason = (
            as_text(as_mapping(response.get("incomplete_details")).get("reason")) or "no reason"
        )
        return GenerationError(f"The reply is incomplete ({reason}) and has no picture.")
    if status == "cancelled":
        return GenerationError("The generation was cancelled before there was a picture.")
    return GenerationError(f"The reply ({status or 'no status'}) has no picture and no reason.")


def read_json(reply: Reply) -> Json:
    """
    Read a reply's body as a JSON object.

    Raises:
        ReplyError: It is none.
    """
    if not reply.whole:
        raise ReplyError(
            f"The provider's reply has more than {len(reply.body) / 1e6:.0f} MB, which none should "
            "have; the rest was not read.",
            reply.status,
        )
    try:
        body = parse(reply.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        kind = reply.headers.get("content-type", "no content type")
        raise ReplyError(
            f"The provider's reply is not a JSON object ({kind}); is something between you and it?",
            reply.status,
        )
    return cast("Json", body)


def _usage(response: Json) -> Usage:
    image = dict(as_mapping(as_mapping(response.get("tool_usage")).get("image_gen")))
    authors = [item["svg_usage"] for item in _items(response) if item.get("svg_usage")]
    if authors:
        # What the author of an SVG used is told apart, with each of its pictures.
        image["svg_usage"] = authors
    return Usage(mainline=dict(as_mapping(response.get("usage"))) or None, image=image or None)


def _items(response: Json) -> list[Json]:
    return [as_mapping(item) for item in as_list(response.get("output"))]
