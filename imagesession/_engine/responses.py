"""
Parse the provider's replies into values or errors, together with `outcomes` and
`provider_errors`; no other module does.

A body is recognised by its bytes and not by its content type: an object, a stream of events, or
neither, in which case the complete images in it are salvaged.
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
from .events import is_event_stream
from .http import HttpResponse
from .json_views import loads_with_views
from .outcomes import ResponseOutcome, parse_response_object
from .provider_errors import map_error_response
from .streams import read_events

_ID = rb'"id"\s*:\s*"([^"\\]{1,1024})"'
# A response's own id comes first in it, and in the event that announces it. Anywhere else it is
# recognised by its prefix, as output items have ids too.
_FIRST = re.compile(rb"\s*\{\s*" + _ID)
_ANNOUNCED = re.compile(rb'"response"\s*:\s*\{\s*' + _ID)
_BY_PREFIX = re.compile(rb'"id"\s*:\s*"(resp_[^"\\]{1,1019})"')
_ANNOUNCED_WITHIN = 1024
_MARK = b'"imagesession_turn"'
_MARKED = re.compile(_MARK + rb'\s*:\s*"([0-9A-Z]{26})"')
_LONGEST_LABEL = 80


def parse_response(reply: HttpResponse) -> ResponseOutcome:
    """
    Parse a reply that holds a response, newly created or retrieved. Besides errors of the library,
    it may raise a `RequestNotProcessedError`.
    """
    return read_body(reply, parse_response_object)


def read_body(reply: HttpResponse, read: Callable[[Json], ResponseOutcome]) -> ResponseOutcome:
    """
    Read a reply's body: an object, events that add up to one, or the images in it.
    """
    if not is_success(reply):
        raise map_error_response(reply)
    events = is_event_stream(reply.body)
    try:
        return read_events(reply.body) if events else _with_any_image(reply, read)
    except InvalidResponseError:
        images = () if events else salvage(reply.body)
        if images:
            return ResponseOutcome(
                response_id=find_response_id(reply.body), finished=True, images=images
            )
        _check_whole(reply)
        raise


def _with_any_image(
    reply: HttpResponse, read: Callable[[Json], ResponseOutcome]
) -> ResponseOutcome:
    """
    Read a reply's object; if it seems to have no image, an image may still be somewhere in it.
    """
    outcome = read(parse_json_object(reply))
    if outcome.images or outcome.urls or outcome.unreadable or not outcome.finished:
        return outcome
    images = salvage(reply.body)
    return attrs.evolve(outcome, images=images, error=None, withheld=False) if images else outcome


def is_success(reply: HttpResponse) -> bool:
    return 200 <= reply.status < 300  # noqa: PLR2004 - https://www.rfc-editor.org/rfc/rfc9110#name-successful-2xx


def require_accepted(reply: HttpResponse) -> HttpResponse:
    """
    Return a reply, unless the provider rejected the request temporarily.
    """
    error = None if is_success(reply) else map_error_response(reply)
    if isinstance(error, TransientError):
        raise error
    return reply


def recover_complete_body(body: bytes) -> HttpResponse | None:
    """
    Return a reply whose connection broke, if its body holds a complete JSON object or image.
    """
    reply = HttpResponse(status=200, body=body)
    try:
        parse_json_object(reply)
    except InvalidResponseError:
        return reply if _holds_image(body) else None
    return reply


def _holds_image(body: bytes) -> bool:
    if not is_event_stream(body):
        return bool(salvage(body))
    try:
        return bool(read_events(body).images)
    except ImageSessionError:
        return False


def find_response_id(body: bytes) -> str | None:
    """
    Return the response's id from a body that may be incomplete.
    """
    match = (
        _FIRST.match(body)
        or _ANNOUNCED.search(body, 0, _ANNOUNCED_WITHIN)
        or _BY_PREFIX.search(body)
    )
    return None if match is None else as_id(match[1].decode("utf-8", "replace"))


def other_turn(body: bytes, turn_id: str) -> str | None:
    """
    Return the id of another turn whose request a body answers, by the metadata that each request
    carries; None if it is that of the turn itself. Within a text, the quotes of such a mark are
    escaped.
    """
    at = body.find(_MARK)
    found = _MARKED.match(body, at) if at >= 0 else None
    marked = None if found is None else found[1].decode()
    return None if marked == turn_id else marked


def parse_text_response(reply: HttpResponse) -> ResponseOutcome:
    outcome = parse_response(reply)
    error = outcome.error
    # An explicit refusal has a text of its own, which differs from the answer's.
    answered = outcome.text and isinstance(error, RefusalError) and error.text == outcome.text
    return attrs.evolve(outcome, error=None) if answered else outcome


def parse_json_object(reply: HttpResponse) -> Json:
    _check_whole(reply)
    try:
        body = loads_with_views(reply.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        kind = reply.headers.get("content-type", "no content type")[:_LONGEST_LABEL]
        raise InvalidResponseError(
            f"The provider's reply is not a JSON object ({kind}). Check base_url and any proxy.",
            reply.status,
        )
    return cast("Json", body)


def _check_whole(reply: HttpResponse) -> None:
    if not reply.whole:
        raise InvalidResponseError(
            f"The provider's reply has more than {len(reply.body) / 1e6:.0f} MB, the most that is "
            "read; the rest was dropped.",
            reply.status,
        )
