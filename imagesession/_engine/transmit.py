"""
Send a paid request once, and follow it to its outcome.

It is sent again only if the provider has said that it did no work.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable

import attrs

from imagesession._domain.turn import Turn
from imagesession.errors import (
    ImageSessionError,
    InsufficientQuotaError,
    InvalidRequestError,
    InvalidResponseError,
    OutcomeUnknownError,
    ProviderError,
    StreamInterruptedError,
    TransientError,
)

from . import payloads
from .effects import MonotonicTime, OpenStream, ReportProgress, Send, Sleep, StoreCall, Workflow
from .http import HttpRequest, HttpResponse, ReceivedImage, TransportError
from .outcomes import ResponseOutcome
from .poll import (
    MIN_REQUEST_TIMEOUT,
    answers_another_turn,
    consume,
    poll_delay,
    poll_response,
    record_response_id,
    report_status,
    stage,
    with_image,
)
from .provider_errors import RequestNotProcessedError, require_responses_api, unreachable_error
from .quarantine import quarantine, quarantine_if_unreadable
from .request import StudioConfig
from .responses import find_response_id, parse_response, recover_complete_body, require_accepted
from .retry import retry
from .streams import StreamAccumulator

# How often a response is polled for its usage, if its stream ended after the image.
_USAGE_POLLS = 3
_USAGE_SECONDS = 10.0
# A shorter remainder holds no image.
_MIN_QUARANTINE_BYTES = 512


def send(
    turn: Turn, request: HttpRequest, config: StudioConfig, deadline: float
) -> Workflow[HttpResponse]:
    """
    Send a paid request until it is accepted; once it may have been accepted, never again.
    """
    attempt = functools.partial(_send_once, Send, turn, _with_extras(request, config), deadline)
    return (yield from retry(attempt, turn, config, deadline))


def _with_extras(request: HttpRequest, config: StudioConfig) -> HttpRequest:
    body = {**(request.body or {}), **config.extra_body}
    return attrs.evolve(request, headers={**config.extra_headers, **request.headers}, body=body)


def _send_once(
    kind: type[Send | OpenStream], turn: Turn, request: HttpRequest, deadline: float
) -> Workflow[HttpResponse]:
    mask = "" if turn.mask_coverage is None else f"; the mask opens {turn.mask_coverage:.1%}"
    line = f"turn {turn.id}: sending ({request.method} {request.path}){mask}"
    yield from ReportProgress("sending", turn_id=turn.id, log=line)
    if kind is Send:
        # The answer is the image itself, or an analysis of one.
        yield from ReportProgress("analyzing" if turn.kind == "analysis" else "generating")
    left = deadline - (yield from MonotonicTime())
    request = attrs.evolve(request, timeout=max(MIN_REQUEST_TIMEOUT, left))
    try:
        reply = yield from kind(request, paid=True)
    except TransportError as error:
        return (yield from _recover_reply(turn, error))
    return require_accepted(reply)


def post(
    turn: Turn, request: HttpRequest, config: StudioConfig, deadline: float, *, wait: bool
) -> Workflow[ResponseOutcome]:
    """
    Send a request whose reply is the whole response; without `wait`, only until it is accepted.
    """
    try:
        reply = yield from send(turn, request, config, deadline)
    except OutcomeUnknownError as error:
        if error.response_id is None:
            raise
        # Enough of the answer arrived to look up the rest.
        yield from record_response_id(turn, error.response_id)
        if not wait:
            return ResponseOutcome(response_id=error.response_id, finished=False)
        return (yield from poll_response(turn, error.response_id, deadline))
    turn = attrs.evolve(turn, request_id=reply.request_id)
    return (yield from with_request_id(reply, _conclude(turn, reply, deadline, wait=wait)))


def with_request_id(
    reply: HttpResponse, workflow: Workflow[ResponseOutcome]
) -> Workflow[ResponseOutcome]:
    """
    Give the outcome or error of the rest of a request the provider's id of the request.
    """
    try:
        outcome = yield from workflow
    except ImageSessionError as error:
        error.request_id = reply.request_id or error.request_id
        raise
    if outcome.error is not None:
        outcome.error.request_id = reply.request_id or outcome.error.request_id
    return attrs.evolve(outcome, request_id=reply.request_id)


def _conclude(
    turn: Turn, reply: HttpResponse, deadline: float, *, wait: bool = True
) -> Workflow[ResponseOutcome]:
    require_responses_api(reply)
    if (yield from answers_another_turn(reply.body, turn)):
        raise OutcomeUnknownError(
            "The provider answered with the response of another request, which is not kept as this "
            "one's. This one may have been carried out and billed; ask the provider, or its proxy.",
            turn.id,
        )
    try:
        outcome = yield from parse_paid(turn, reply, parse_response)
    except InvalidResponseError:
        if (response_id := find_response_id(reply.body)) is None:
            raise
        outcome = ResponseOutcome(response_id=response_id, finished=False)
    response_id = outcome.response_id
    yield from record_response_id(turn, response_id)
    yield from report_status(turn, outcome.status)
    if outcome.finished and not (outcome.all_unreadable and response_id):
        readable = yield from quarantine_if_unreadable(turn, outcome, reply.body)
        return (yield from with_image(turn, response_id, readable, deadline))
    if not wait and response_id is not None:
        return outcome
    return (yield from poll_accepted(turn, response_id, deadline))


def poll_accepted(
    turn: Turn, response_id: str | None, deadline: float
) -> Workflow[ResponseOutcome]:
    if response_id is None:
        raise OutcomeUnknownError(
            "The provider accepted the request, but gave no id to poll for its outcome.", turn.id
        )
    return (yield from poll_response(turn, response_id, deadline))


def parse_paid(
    turn: Turn, reply: HttpResponse, parse: Callable[[HttpResponse], ResponseOutcome]
) -> Workflow[ResponseOutcome]:
    try:
        return parse(reply)
    except InvalidResponseError as error:
        raise (yield from quarantine(turn, reply.body, error)) from error
    except ProviderError as error:
        # The provider failed after it had received the request.
        raise OutcomeUnknownError(
            f"{error.message} The request may have been carried out and billed, so it is not sent "
            "again automatically.",
            turn.id,
        ) from error


# --- streams ----------------------------------------------------------------------------------


def stream(
    turn: Turn, request: HttpRequest, config: StudioConfig, deadline: float, *, resumable: bool
) -> Workflow[ResponseOutcome]:
    sent = yield from MonotonicTime()
    request = _with_extras(request, config)
    attempt = functools.partial(_send_once, OpenStream, turn, request, deadline)
    reply = yield from retry(attempt, turn, config, deadline)
    turn = attrs.evolve(turn, request_id=reply.request_id)
    if not reply.opened:
        return (yield from with_request_id(reply, _conclude(turn, reply, deadline)))
    opened = _OpenStream(turn=turn, sent=sent, deadline=deadline, resumable=resumable)
    return (yield from with_request_id(reply, _read_stream(opened)))


def _read_stream(opened: _OpenStream) -> Workflow[ResponseOutcome]:
    turn, events = opened.turn, opened.events
    reason, rest = "the connection was closed", b""
    try:
        outcome = yield from consume(turn, events, opened.deadline)
    except TransportError as error:
        reason, rest = error.reason, error.body
        yield from _read_rest(opened, rest)
        outcome = events.outcome
    except (ProviderError, InsufficientQuotaError, InvalidRequestError, TransientError) as error:
        # The request was accepted, so its id tells the outcome better than this error.
        if events.interrupted() is None and opened.resumable_id is None:
            raise
        outcome, reason = None, error.message
    finished = yield from _finish(opened, outcome)
    if finished is not None:
        return finished
    note = yield from _quarantine_rest(turn, rest)
    raise StreamInterruptedError(
        f"The stream was cut before its last event ({reason}). The image may have been made and "
        f"billed, so the request is not sent again automatically.{note}",
        turn.id,
        events.response_id,
    )


@attrs.frozen(kw_only=True)
class _OpenStream:
    """
    An open stream and the events received so far.

    Attributes:
        resumable: Whether the provider goes on in the background if the stream is cut.
    """

    turn: Turn
    sent: float
    deadline: float
    resumable: bool
    events: StreamAccumulator = attrs.field(factory=StreamAccumulator)

    @property
    def resumable_id(self) -> str | None:
        return self.events.response_id if self.resumable else None


def _read_rest(opened: _OpenStream, rest: bytes) -> Workflow[None]:
    """
    Read the part of an event that arrived before the stream was cut: it may hold a whole image.
    """
    with contextlib.suppress(ImageSessionError):  # it holds nothing readable
        for image in list(opened.events.feed(rest)):
            if isinstance(image, ReceivedImage):
                yield from stage(opened.turn, image)


def _finish(
    opened: _OpenStream, outcome: ResponseOutcome | None
) -> Workflow[ResponseOutcome | None]:
    """
    Return the outcome of a stream that has ended: from its events, by resuming it, or by polling.
    None if the outcome is unknown.
    """
    turn, events, deadline = opened.turn, opened.events, opened.deadline
    if outcome is None:
        outcome = events.interrupted()
        if outcome is not None and opened.resumable_id is not None:
            return (yield from with_usage(turn, outcome, opened.resumable_id, deadline))
    response_id = opened.resumable_id
    if outcome is not None and not (outcome.is_doubtful and response_id):
        return (yield from with_image(turn, events.response_id, outcome, deadline))
    if response_id is not None:
        outcome = None if outcome is not None else (yield from _resume(opened, response_id))
        if outcome is not None:
            return (yield from with_image(turn, response_id, outcome, deadline))
        return (yield from poll_response(turn, response_id, deadline, since=opened.sent))
    return None


def _resume(opened: _OpenStream, response_id: str) -> Workflow[ResponseOutcome | None]:
    """
    Resume a stream where it was cut, as long as that brings new events; None if it does not.
    """
    events, deadline = opened.events, opened.deadline
    while (now := (yield from MonotonicTime())) < deadline:
        before = events.sequence
        try:
            reply = yield from OpenStream(payloads.resume(response_id, before, deadline - now))
            outcome = None
            if reply.opened:
                outcome = yield from consume(opened.turn, events, deadline)
        except (TransportError, ImageSessionError):
            outcome = None
        outcome = outcome or events.interrupted()
        if outcome is not None:
            return None if outcome.all_unreadable else outcome
        if events.sequence == before:
            return None
        yield from Sleep(poll_delay((yield from MonotonicTime()) - opened.sent))
    return None


def with_usage(
    turn: Turn, outcome: ResponseOutcome, response_id: str, deadline: float
) -> Workflow[ResponseOutcome]:
    """
    Poll a response whose image is staged for its usage and text. If that fails, the image is
    there all the same, and its cost is unknown.
    """
    end = min(deadline, (yield from MonotonicTime()) + _USAGE_SECONDS)
    for attempt in range(_USAGE_POLLS):
        try:
            reply = yield from Send(payloads.retrieve_response(response_id, _USAGE_SECONDS))
            if (yield from answers_another_turn(reply.body, turn)):
                return outcome
            polled = parse_response(reply)
        except (TransportError, RequestNotProcessedError, ImageSessionError):
            return outcome
        if polled.finished:
            return attrs.evolve(
                polled,
                images=outcome.images,
                unreadable=outcome.unreadable,
                error=None,
                withheld=False,
            )
        if (yield from MonotonicTime()) >= end:
            break
        yield from Sleep(poll_delay(attempt + 1.0))
    return outcome


def _recover_reply(turn: Turn, error: TransportError) -> Workflow[HttpResponse]:
    """
    Return the reply to a paid request whose connection broke, if enough of the body arrived.
    """
    reply = recover_complete_body(error.body)
    if reply is not None:
        return reply
    if not error.sent:
        raise unreachable_error(error) from error
    note = yield from _quarantine_rest(turn, error.body)
    raise OutcomeUnknownError(
        f"The request was sent and its answer was lost ({error.reason}). It may have been carried "
        f"out and billed, so it is not sent again automatically.{note}",
        turn.id,
        find_response_id(error.body),
    ) from error


def _quarantine_rest(turn: Turn, rest: bytes) -> Workflow[str]:
    """
    Quarantine the part of a lost answer that arrived, if it may hold an image; return a sentence
    that names the file, or an empty text.
    """
    if len(rest) < _MIN_QUARANTINE_BYTES:
        return ""
    file = yield from StoreCall(lambda store: store.turns.quarantine(turn.id, rest))
    return f" The part that arrived is kept in {file}."
