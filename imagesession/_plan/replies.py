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

from imagesession.errors import ImageSessionError, RefusedError, ReplyError, TryLaterError

from .decoding import salvage
from .events import are_events
from .failures import error_of
from .lifting import parse
from .outcomes import Outcome, read_response
from .streams import read_events
from .tolerance import Json, as_id
from .wire import Reply

_ID = rb'"id"\s*:\s*"([^"\\]{1,256})"'
# Its own id stands first in a response, and in the event that announces one. Anywhere else it is
# known by its first letters: output items have ids, too.
_FIRST = re.compile(rb"\s*\{\s*" + _ID)
_ANNOUNCED = re.compile(rb'"response"\s*:\s*\{\s*' + _ID)
_ANYWHERE = re.compile(rb'"id"\s*:\s*"(resp_[^"\\]{1,251})"')
_ANNOUNCED_WITHIN = 1024
_LONGEST_LABEL = 80


def read_reply(reply: Reply) -> Outcome:
    """
    Read the answer to a request for a response, whether created just now or asked for again.

    Raises:
        ImageSessionError: HTTP calls it an error, or nothing in it makes sense.
        RequestNotProcessedError: The request has to be made in another way.
    """
    return read_body(reply, read_response)


def read_body(reply: Reply, read: Callable[[Json], Outcome]) -> Outcome:
    """
    Read an answer's body: an object, or events that add up to one, or whatever pictures it holds.

    Args:
        reply: The answer.
        read: Reads the object that the body should be.

    Raises:
        ImageSessionError: HTTP calls it an error, or nothing in it makes sense.
    """
    if not is_success(reply):
        raise error_of(reply)
    events = are_events(reply.body)
    try:
        return read_events(reply.body) if events else read(read_json(reply))
    except ReplyError:
        pictures = () if events else salvage(reply.body)
        if pictures:
            return Outcome(response_id=named_id(reply.body), finished=True, pictures=pictures)
        _check_whole(reply)
        raise


def is_success(reply: Reply) -> bool:
    """
    Tell whether HTTP calls an answer a success.
    """
    return 200 <= reply.status < 300  # noqa: PLR2004 - https://www.rfc-editor.org/rfc/rfc9110#name-successful-2xx


def accepted(reply: Reply) -> Reply:
    """
    Return a reply, unless it says that the provider turned the request away for now.

    Raises:
        TryLaterError: It says so.
    """
    error = None if is_success(reply) else error_of(reply)
    if isinstance(error, TryLaterError):
        raise error
    return reply


def whole_reply(body: bytes) -> Reply | None:
    """
    Return the reply whose end was not told, if what matters of it came: a JSON object, which shows
    its own end, or a whole picture.

    Args:
        body: What came of an answer that HTTP calls a success.
    """
    reply = Reply(status=200, body=body)
    try:
        read_json(reply)
    except ReplyError:
        return reply if _holds_picture(body) else None
    return reply


def _holds_picture(body: bytes) -> bool:
    if not are_events(body):
        return bool(salvage(body))
    try:
        return bool(read_events(body).pictures)
    except ImageSessionError:
        return False


def named_id(body: bytes) -> str | None:
    """
    Return the id of a response of which the rest may be missing.
    """
    named = (
        _FIRST.match(body)
        or _ANNOUNCED.search(body, 0, _ANNOUNCED_WITHIN)
        or _ANYWHERE.search(body)
    )
    return None if named is None else as_id(named[1].decode("utf-8", "replace"))


def read_words(reply: Reply) -> Outcome:
    """
    Read the answer to a request for words: what is a refusal elsewhere is the answer here.

    Raises:
        ImageSessionError: HTTP calls it an error, or it is no response object.
    """
    outcome = read_reply(reply)
    error = outcome.error
    # A refusal in so many words is told by them, and not by the text beside them.
    answered = outcome.text and isinstance(error, RefusedError) and error.text == outcome.text
    return attrs.evolve(outcome, error=None) if answered else outcome


def read_json(reply: Reply) -> Json:
    """
    Read a reply's body as a JSON object.

    Raises:
        ReplyError: It is none.
    """
    _check_whole(reply)
    try:
        body = parse(reply.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        kind = reply.headers.get("content-type", "no content type")[:_LONGEST_LABEL]
        raise ReplyError(
            f"The provider's reply is not a JSON object ({kind}); is something between you and it?",
            reply.status,
        )
    return cast("Json", body)


def _check_whole(reply: Reply) -> None:
    if not reply.whole:
        raise ReplyError(
            f"The provider's reply has more than {len(reply.body) / 1e6:.0f} MB, which none should "
            "have; the rest was not read.",
            reply.status,
        )
