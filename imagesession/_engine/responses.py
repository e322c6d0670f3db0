"""
Decide what the provider's answers mean. Here, in `outcomes` and in `failures`, an answer becomes a
value or an error, and nowhere else.

A body is judged by its bytes, whatever it is labelled: an object, a stream of events, or neither,
in which case the whole pictures in it are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

import attrs

from imagesession.errors import (
    ImageSessionError,
    InvalidResponseError,
    RefusalError,
    TransientError,
)

from .coerce import Json, as_id
from .decoding import salvage
from .events import are_events
from .http import HttpResponse
from .json_views import loads_with_views
from .outcomes import ResponseOutcome, parse_response_object
from .provider_errors import map_error_response
from .streams import read_events

_ID = rb'"id"\s*:\s*"([^"\\]{1,256})"'
# Its own id stands first in a response, and in the event that announces one. Anywhere else it is
# known by its first letters: output items have ids, too.
_FIRST = re.compile(rb"\s*\{\s*" + _ID)
_ANNOUNCED = re.compile(rb'"response"\s*:\s*\{\s*' + _ID)
_ANYWHERE = re.compile(rb'"id"\s*:\s*"(resp_[^"\\]{1,251})"')
_ANNOUNCED_WITHIN = 1024
_LONGEST_LABEL = 80


def parse_response(reply: HttpResponse) -> ResponseOutcome:
    """
    Read the answer to a request for a response, whether created just now or asked for again.

    Raises:
        ImageSessionError: HTTP calls it an error, or nothing in it makes sense.
        RequestNotProcessedError: The request has to be made in another way.
    """
    return read_body(reply, parse_response_object)


def read_body(reply: HttpResponse, read: Callable[[Json], ResponseOutcome]) -> ResponseOutcome:
    """
    Read an answer's body: an object, or events that add up to one, or whatever pictures it holds.

    Args:
        reply: The answer.
        read: Reads the object that the body should be.

    Raises:
        ImageSessionError: HTTP calls it an error, or nothing in it makes sense.
    """
    if not is_success(reply):
        raise map_error_response(reply)
    events = are_events(reply.body)
    try:
        return read_events(reply.body) if events else read(parse_json_object(reply))
    except InvalidResponseError:
        pictures = () if events else salvage(reply.body)
        if pictures:
            return ResponseOutcome(
                response_id=find_response_id(reply.body), finished=True, pictures=pictures
            )
        _check_whole(reply)
        raise


def is_success(reply: HttpResponse) -> bool:
    """
    Tell whether HTTP calls an answer a success.
    """
    return 200 <= reply.status < 300  # noqa: PLR2004 - https://www.rfc-editor.org/rfc/rfc9110#name-successful-2xx


def accepted(reply: HttpResponse) -> HttpResponse:
    """
    Return a reply, unless it says that the provider turned the request away for now.

    Raises:
        TransientError: It says so.
    """
    error = None if is_success(reply) else map_error_response(reply)
    if isinstance(error, TransientError):
        raise error
    return reply


def recover_complete_body(body: bytes) -> HttpResponse | None:
    """
    Return the reply whose end was not told, if what matters of it came: a JSON object, which shows
    its own end, or a whole picture.

    Args:
        body: What came of an answer that HTTP calls a success.
    """
    reply = HttpResponse(status=200, body=body)
    try:
        parse_json_object(reply)
    except InvalidResponseError:
        return reply if _holds_picture(body) else None
    return reply


def _holds_picture(body: bytes) -> bool:
    if not are_events(body):
        return bool(salvage(body))
    try:
        return bool(read_events(body).pictures)
    except ImageSessionError:
        return False


def find_response_id(body: bytes) -> str | None:
    """
    Return the id of a response of which the rest may be missing.
    """
    named = (
        _FIRST.match(body)
        or _ANNOUNCED.search(body, 0, _ANNOUNCED_WITHIN)
        or _ANYWHERE.search(body)
    )
    return None if named is None else as_id(named[1].decode("utf-8", "replace"))


def parse_text_response(reply: HttpResponse) -> ResponseOutcome:
    """
    Read the answer to a request for words: what is a refusal elsewhere is the answer here.

    Raises:
        ImageSessionError: HTTP calls it an error, or it is no response object.
    """
    outcome = parse_response(reply)
    error = outcome.error
    # A refusal in so many words is told by them, and not by the text beside them.
    answered = outcome.text and isinstance(error, RefusalError) and error.text == outcome.text
    return attrs.evolve(outcome, error=None) if answered else outcome


def parse_json_object(reply: HttpResponse) -> Json:
    """
    Read a reply's body as a JSON object.

    Raises:
        InvalidResponseError: It is none.
    """
    _check_whole(reply)
    try:
        body = loads_with_views(reply.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        kind = reply.headers.get("content-type", "no content type")[:_LONGEST_LABEL]
        raise InvalidResponseError(
            f"The provider's reply is not a JSON object ({kind}); is something between you and it?",
            reply.status,
        )
    return cast("Json", body)


def _check_whole(reply: HttpResponse) -> None:
    if not reply.whole:
        raise InvalidResponseError(
            f"The provider's reply has more than {len(reply.body) / 1e6:.0f} MB, which none should "
            "have; the rest was not read.",
            reply.status,
        )
