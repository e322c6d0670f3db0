"""
Send the request that is paid for, once, and follow it to its end.

It is sent again only where the provider has said that it did no work.
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
    consume,
    poll_delay,
    poll_response,
    record_response_id,
    report_status,
    stage,
    with_picture,
)
from .provider_errors import RequestNotProcessedError, check_speaks_responses, unreachable
from .quarantine import quarantine, quarantine_if_unreadable
from .request import StudioConfig
from .responses import accepted, find_response_id, parse_response, recover_complete_body
from .retry import retry
from .streams import StreamAccumulator

# How often a finished response is asked for its usage, where its stream ended behind the picture.
_USAGE_LOOKS = 3
_USAGE_SECONDS = 10.0
# What is smaller holds no picture.
_WORTH_KEEPING = 512


def send(
    turn: Turn, request: HttpRequest, config: StudioConfig, deadline: float
) -> Workflow[HttpResponse]:
    """
    Send the request that is paid for, until it is accepted; once it may have been, never again.
    """
    attempt = functools.partial(_send_once, turn, request, deadline)
    return (yield from retry(attempt, turn, config, deadline))


def _send_once(turn: Turn, request: HttpRequest, deadline: float) -> Workflow[HttpResponse]:
    yield from _report_sending(turn, request)
    # Its answer is the picture itself, or what is said of one.
    yield from ReportProgress("analyzing" if turn.kind == "analysis" else "generating")
    try:
        reply = yield from Send((yield from _within(request, deadline)), paid=True)
    except TransportError as error:
        return (yield from _what_came(turn, error))
    return accepted(reply)


def _open_stream(
    turn: Turn, request: HttpRequest, deadline: float
) -> Workflow[HttpResponse | None]:
    yield from _report_sending(turn, request)
    try:
        reply = yield from OpenStream((yield from _within(request, deadline)), paid=True)
    except TransportError as error:
        return (yield from _what_came(turn, error))
    return None if reply is None else accepted(reply)


def _report_sending(turn: Turn, request: HttpRequest) -> Workflow[None]:
    line = f"turn {turn.id}: sending ({request.method} {request.path})"
    yield from ReportProgress("sending", turn_id=turn.id, log=line)


def _within(request: HttpRequest, deadline: float) -> Workflow[HttpRequest]:
    left = deadline - (yield from MonotonicTime())
    return attrs.evolve(request, timeout=max(MIN_REQUEST_TIMEOUT, left))


def post(
    turn: Turn, request: HttpRequest, config: StudioConfig, deadline: float
) -> Workflow[ResponseOutcome]:
    """
    Send a request whose reply is the response itself.
    """
    try:
        reply = yield from send(turn, request, config, deadline)
    except OutcomeUnknownError as error:
        if error.response_id is None:
            raise
        # Enough of the answer came to look the rest up.
        yield from record_response_id(turn, error.response_id)
        return (yield from poll_response(turn, error.response_id, deadline))
    return (yield from _conclude(turn, reply, deadline))


def _conclude(turn: Turn, reply: HttpResponse, deadline: float) -> Workflow[ResponseOutcome]:
    """
    Read the reply to a paid request; where that is not the end, poll.
    """
    check_speaks_responses(reply)
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
        whole = yield from quarantine_if_unreadable(turn, outcome, reply.body)
        return (yield from with_picture(turn, response_id, whole, deadline))
    if response_id is None:
        raise OutcomeUnknownError(
            "The provider accepted the request and gave no id to ask for its outcome.", turn.id
        )
    return (yield from poll_response(turn, response_id, deadline))


def parse_paid(
    turn: Turn, reply: HttpResponse, parse: Callable[[HttpResponse], ResponseOutcome]
) -> Workflow[ResponseOutcome]:
    """
    Parse the reply to a request that is paid for; its bytes are kept if they make no sense.
    """
    try:
        return parse(reply)
    except InvalidResponseError as error:
        raise (yield from quarantine(turn, reply.body, error)) from error
    except ProviderError as error:
        # The provider broke down somewhere after it had the request.
        raise OutcomeUnknownError(
            f"{error.message} What was asked for may have been made and billed; it is not asked "
            "for again by itself.",
            turn.id,
        ) from error


# --- streams ----------------------------------------------------------------------------------


def stream(
    turn: Turn, request: HttpRequest, config: StudioConfig, deadline: float, *, resumable: bool
) -> Workflow[ResponseOutcome]:
    """
    Send a request whose reply is a stream of events, and take it in.

    Args:
        turn: What is requested.
        request: The request.
        config: How long to go on trying.
        deadline: When all has to be done, by the clock of `Now`.
        resumable: Whether the provider works on in the background where the stream is cut.

    Raises:
        StreamInterruptedError: The stream ended before the picture, and nothing tells what became
            of it.
        ImageSessionError: There is no picture, and the error says why.
    """
    sent = yield from MonotonicTime()
    attempt = functools.partial(_open_stream, turn, request, deadline)
    reply = yield from retry(attempt, turn, config, deadline)
    if reply is not None:
        return (yield from _conclude(turn, reply, deadline))
    opened = _OpenStream(turn=turn, sent=sent, deadline=deadline, resumable=resumable)
    events, reason, rest = opened.events, "it just ended", b""
    try:
        outcome = yield from consume(turn, events, deadline)
    except TransportError as error:
        outcome, reason, rest = None, error.reason, error.body
        yield from _take_in_rest(opened, rest)
    except (ProviderError, InsufficientQuotaError, TransientError) as error:
        # It was accepted, so that its id tells better what became of it.
        if events.interrupted() is None and opened.resumable_id is None:
            raise
        outcome, reason = None, error.message
    finished = yield from _finish(opened, outcome)
    if finished is not None:
        return finished
    kept = yield from _keep_rest(turn, rest)
    raise StreamInterruptedError(
        f"The stream was cut before its last event ({reason}). The picture may have been made and "
        f"billed; it is not asked for again by itself.{kept}",
        turn.id,
        events.response_id,
    )


@attrs.frozen(kw_only=True)
class _OpenStream:
    """
    A stream that was opened, and what has come of it.

    Attributes:
        turn: What is requested.
        sent: When, by the clock of `Now`.
        deadline: When all has to be done, by the clock of `Now`.
        resumable: Whether the provider works on in the background where the stream is cut.
        events: What the events so far add up to.
    """

    turn: Turn
    sent: float
    deadline: float
    resumable: bool
    events: StreamAccumulator = attrs.field(factory=StreamAccumulator)

    @property
    def resumable_id(self) -> str | None:
        """
        The response's id, where it can be followed by that.
        """
        return self.events.response_id if self.resumable else None


def _take_in_rest(opened: _OpenStream, rest: bytes) -> Workflow[None]:
    """
    Take in what came of an event whose end did not: a whole picture may stand in it.
    """
    with contextlib.suppress(ImageSessionError):  # nothing stands in it
        for image in list(opened.events.feed(rest)):
            if isinstance(image, ReceivedImage):
                yield from stage(opened.turn, image)


def _finish(
    opened: _OpenStream, outcome: ResponseOutcome | None
) -> Workflow[ResponseOutcome | None]:
    """
    Make the best of what a stream has brought until it ended; None where that is nothing, and
    nobody can tell what became of it.
    """
    turn, events, deadline = opened.turn, opened.events, opened.deadline
    if outcome is None:
        outcome = events.interrupted()
        if outcome is not None and opened.resumable_id is not None:
            return (yield from with_usage(outcome, opened.resumable_id, deadline))
    response_id = opened.resumable_id
    if outcome is not None and not (outcome.all_unreadable and response_id):
        return (yield from with_picture(turn, events.response_id, outcome, deadline))
    if response_id is not None:
        outcome = None if outcome is not None else (yield from _resume(opened, response_id))
        if outcome is not None:
            return (yield from with_picture(turn, response_id, outcome, deadline))
        return (yield from poll_response(turn, response_id, deadline, since=opened.sent))
    return None


def _resume(opened: _OpenStream, response_id: str) -> Workflow[ResponseOutcome | None]:
    """
    Go on with a stream where it was cut, as long as that brings new events; None where it does
    not.
    """
    events, deadline = opened.events, opened.deadline
    while (now := (yield from MonotonicTime())) < deadline:
        before = events.sequence
        try:
            reply = yield from OpenStream(payloads.resume(response_id, before, deadline - now))
            outcome = (
                None if reply is not None else (yield from consume(opened.turn, events, deadline))
            )
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
    outcome: ResponseOutcome, response_id: str, deadline: float
) -> Workflow[ResponseOutcome]:
    """
    Ask a response whose picture is on the disk for its usage and text. Whatever goes wrong, the
    picture is there; its cost is then not known.
    """
    end = min(deadline, (yield from MonotonicTime()) + _USAGE_SECONDS)
    for number in range(_USAGE_LOOKS):
        try:
            reply = yield from Send(payloads.retrieve_response(response_id, _USAGE_SECONDS))
            reported = parse_response(reply)
        except (TransportError, RequestNotProcessedError, ImageSessionError):
            return outcome
        if reported.finished:
            return attrs.evolve(
                reported,
                pictures=outcome.pictures,
                unreadable=outcome.unreadable,
                error=None,
                withheld=False,
            )
        if (yield from MonotonicTime()) >= end:
            break
        yield from Sleep(poll_delay(number + 1.0))
    return outcome


def _what_came(turn: Turn, error: TransportError) -> Workflow[HttpResponse]:
    """
    Return the reply to a paid request that broke off, if what matters of it came.

    Raises:
        ProviderUnavailableError: Nothing was sent.
        OutcomeUnknownError: It was sent, and nothing tells what became of it.
    """
    came = recover_complete_body(error.body)
    if came is not None:
        return came
    if not error.sent:
        raise unreachable(error) from error
    kept = yield from _keep_rest(turn, error.body)
    raise OutcomeUnknownError(
        f"The request was sent and its answer was lost ({error.reason}). What was asked for "
        f"may have been made and billed; it is not asked for again by itself.{kept}",
        turn.id,
        find_response_id(error.body),
    ) from error


def _keep_rest(turn: Turn, rest: bytes) -> Workflow[str]:
    """
    Keep what came of an answer that was lost, if it is more than a few words; say where.
    """
    if len(rest) < _WORTH_KEEPING:
        return ""
    file = yield from StoreCall(lambda store: store.quarantine(turn.id, rest))
    return f" What came of it is kept in {file}."
