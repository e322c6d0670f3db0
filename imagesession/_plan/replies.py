"""
Decide what the provider's answers mean. This is the one place where an answer becomes a value
or an error.

Read tolerantly: servers that speak this protocol differ in what they leave out or add. What is
relied on is named in each function; everything else may be missing, null or of another type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import attrs
import pybase64

from imagesession._model.pictures import PictureFacts, read_facts
from imagesession._model.turns import Usage
from imagesession.errors import (
    AccessError,
    GenerationError,
    ImageSessionError,
    ModerationError,
    ProviderError,
    QuotaError,
    RateLimitError,
    RefusedError,
    RejectedError,
    ReplyError,
    UnavailableError,
)

from .lifting import parse
from .wire import Received, Reply

Json = Mapping[str, Any]

QUOTA_CODES = frozenset(
    {
        "billing_hard_limit_reached",
        "credit_balance_exhausted",
        "insufficient_quota",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
    }
)
BLOCKED_CODES = frozenset(
    {"moderation_blocked", "image_content_policy_violation", "content_policy_violation"}
)
# Whatever else a status is, there is more to come.
FINISHED = frozenset({"completed", "failed", "incomplete", "cancelled"})
_EMPTY: Json = {}
# A request time-out and a conflict leave open whether the work was done.
_AMBIGUOUS = frozenset({408, 409})
_UNAUTHORIZED, _FORBIDDEN, _TOO_MANY, _SERVER, _UNAVAILABLE = 401, 403, 429, 500, 503


class ContextLostError(Exception):
    """
    The provider no longer knows the reply that a turn continues.
    """


class BackgroundRefusedError(Exception):
    """
    The provider does not work in the background.
    """


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
        usage: What was used, as the provider said it.
    """

    response_id: str | None
    finished: bool
    pictures: tuple[Received, ...] = ()
    spoilt: int = 0
    error: ImageSessionError | None = None
    text: str = ""
    model: str | None = None
    usage: Usage = Usage()


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
    return read_response(_json(reply))


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
    status = _text(response.get("status"))
    if not status and "output" not in response:
        raise ReplyError("The provider's reply is no response object; is this the right URL?")
    items = [_mapping(item) for item in _list(response.get("output"))]
    pictures, problems = _pictures(items)
    text = "\n".join(filter(None, (said for item in items for said in _said(item))))
    finished = bool(pictures or problems) or status in FINISHED or not status
    error = None
    if finished and not pictures:
        error = problems[0] if problems else _no_picture(response, items, text)
    return Outcome(
        response_id=_text(response.get("id")) or None,
        finished=finished,
        pictures=pictures,
        spoilt=len(problems),
        error=error,
        text=text,
        model=_text(response.get("model")) or None,
        usage=_usage(response),
    )


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
        revised_prompt=_text(item.get("revised_prompt")) or None,
        call_id=_text(item.get("id")) or None,
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
        for part in _list(item.get("content")):
            if _mapping(part).get("type") == "output_text":
                yield _text(_mapping(part).get("text"))


def _refusal(items: list[Json]) -> str:
    parts = (part for item in items for part in _list(item.get("content")))
    return " ".join(filter(None, (_text(_mapping(part).get("refusal")) for part in parts)))


def _no_picture(response: Json, items: list[Json], text: str) -> ImageSessionError:
    """
    Say why a finished reply has no picture.
    """
    errors = [_mapping(response.get("error")), *(_mapping(item.get("error")) for item in items)]
    error = next(filter(None, errors), _EMPTY)
    refusal = _refusal(items)
    status = _text(response.get("status"))
    if error:
        return failure_of(error)
    if refusal or (text and status in {"completed", ""}):
        said = refusal or text
        return RefusedError(
            f"The model answered without making a picture: {said!r} Ask for it in other words.",
            said,
        )
    if status == "incomplete":
        reason = _text(_mapping(response.get("incomplete_details")).get("reason")) or "no reason"
        return GenerationError(f"The reply is incomplete ({reason}) and has no picture.")
    if status == "cancelled":
        return GenerationError("The generation was cancelled before there was a picture.")
    return GenerationError(f"The reply ({status or 'no status'}) has no picture and no reason.")


def failure_of(error: Json) -> ImageSessionError:
    """
    Turn an error inside a reply that HTTP calls a success into one of ours.
    """
    code, message = _text(error.get("code")), _text(error.get("message"))
    if code in BLOCKED_CODES:
        return _blocked(error)
    if code in QUOTA_CODES:
        return _quota(message)
    if code == "rate_limit_exceeded":
        return RateLimitError(f"The provider's rate limit was reached: {message}")
    return GenerationError(
        f"The provider could not make the picture: {message or code or 'no reason given'}",
        None,
        code or None,
    )


def _blocked(error: Json) -> ModerationError:
    details = _mapping(error.get("moderation_details"))
    message = _text(error.get("message"))
    named = [_text(category) for category in _list(details.get("categories"))]
    categories = tuple(category for category in named if category)
    if not categories:
        # Older and other servers name them in the message alone.
        listed = re.search(r"safety_violations=\[([^\]]*)\]", message)
        categories = tuple(listed[1].replace(",", " ").split()) if listed else ()
    stage = _text(details.get("moderation_stage")) or "unknown"
    about = f" ({', '.join(categories)})" if categories else ""
    return ModerationError(
        f"A safety system stopped this at its {stage} stage{about}. Rephrase the prompt; the same "
        f"words fail again. The provider says: {message}",
        message,
        stage,
        categories,
    )


# --- errors that HTTP shows -------------------------------------------------------------------


def error_of(reply: Reply) -> Exception:
    """
    Turn an answer that HTTP calls an error into an exception.
    """
    error = _error_body(reply)
    code, message = _text(error.get("code")), _text(error.get("message"))
    param = _text(error.get("param")) or None
    if reply.status < _SERVER and (
        code == "previous_response_not_found" or param == "previous_response_id"
    ):
        return ContextLostError(message)
    if code in BLOCKED_CODES:
        return _blocked(error)
    if code in QUOTA_CODES or _text(error.get("type")) in QUOTA_CODES:
        return _quota(message)
    if param == "background" and reply.status < _SERVER:
        return BackgroundRefusedError(message)
    return _by_status(reply, code, param, message)


def _by_status(reply: Reply, code: str, param: str | None, message: str) -> ImageSessionError:
    status, after = reply.status, retry_after(reply)
    pause = f" Wait {after:g} seconds." if after is not None else ""
    if status == _UNAUTHORIZED:
        return AccessError(f"The provider does not accept the key: {message}")
    if status == _FORBIDDEN:
        return AccessError(f"This key may not do that: {message}")
    if status == _TOO_MANY:
        return RateLimitError(f"Too many requests: {message}{pause}", after)
    if status == _UNAVAILABLE:
        return UnavailableError(f"The provider is overloaded: {message}{pause}", after)
    if status >= _SERVER or status in _AMBIGUOUS:
        return ProviderError(
            f"The provider failed with HTTP {status}: {message}", status, code or None
        )
    named = f" (parameter {param})" if param else ""
    return RejectedError(
        f"The provider rejects the request with HTTP {status}{named}: {message}",
        code or None,
        param,
    )


def _quota(message: str) -> QuotaError:
    return QuotaError(
        f"The account's credit or spending limit is used up; add credit or raise the limit. "
        f"The provider says: {message}"
    )


def _error_body(reply: Reply) -> Json:
    """
    Return the error object of a body, whatever form it has: some servers send a plain string.
    """
    body = _parse(reply.body)
    error = _mapping(body).get("error")
    if isinstance(error, str):
        return {"message": error}
    if not _mapping(error):
        said = reply.body[:200].decode("utf-8", "replace").strip()
        return {"message": _text(_mapping(body).get("message")) or said or "no reason given"}
    return _mapping(error)


def retry_after(reply: Reply) -> float | None:
    """
    Return the seconds that the provider asks to wait, if it says so.
    """
    for header, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(reply.headers[header]) / unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    return None


# --- parts of a body, whatever type they turn out to have -------------------------------------


def _json(reply: Reply) -> Json:
    body = _parse(reply.body)
    if not isinstance(body, dict):
        kind = reply.headers.get("content-type", "no content type")
        raise ReplyError(
            f"The provider's reply is not a JSON object ({kind}); is something between you and it?",
            reply.status,
        )
    return cast("Json", body)


def _parse(body: bytes) -> object:
    try:
        return parse(body)
    except ValueError:
        return None


def _usage(response: Json) -> Usage:
    image = _mapping(response.get("tool_usage")).get("image_gen")
    return Usage(
        mainline=dict(_mapping(response.get("usage"))) or None,
        image=dict(_mapping(image)) or None,
    )


def _mapping(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else _EMPTY


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
