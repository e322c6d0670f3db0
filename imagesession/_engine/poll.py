"""
Follow a response by its id until it is finished: poll it, or replay its events. Both are free.
"""

from __future__ import annotations

import attrs

from imagesession._domain.partial_image import PartialImage
from imagesession._domain.turn import Turn
from imagesession.errors import (
    ImageSessionError,
    InvalidResponseError,
    OutcomeUnknownError,
    StorageError,
)

from . import payloads
from .effects import (
    EmitPartial,
    MonotonicTime,
    NextEvent,
    OpenStream,
    ReportProgress,
    Send,
    Sleep,
    StoreCall,
    Workflow,
)
from .http import HttpResponse, ReceivedImage, TransportError
from .outcomes import ResponseOutcome
from .provider_errors import map_error_response, parse_retry_after
from .quarantine import quarantine, quarantine_if_unreadable
from .responses import is_success, parse_response
from .streams import StreamAccumulator

MIN_REQUEST_TIMEOUT = 1.0
"""Seconds that a request may take, however little time is left."""
TRANSIENT = frozenset({408, 409, 425, 429})
"""Of what HTTP calls the caller's errors, those that may be gone the next time."""
# A new response's id may not be known everywhere at once.
_SECONDS_FOR_404 = 30.0
_NOT_FOUND, _SERVER_ERROR = 404, 500
MIN_REQUEST_SECONDS = 30.0
"""Seconds that a look may take where there is time, as a picture may come with it."""
# An image that came spoilt may have been spoilt on the way, and is asked for again so often.
_MAX_UNREADABLE_REPLIES = 3
# Seconds before events are asked for once more that broke off or brought a spoilt image.
_REPLAY_DELAYS = (0.2, 0.5, 1.0, 2.0)
_SHORTEST_DELAY, _LONGEST_DELAY = 0.05, 30.0
_SHARE = 20


def poll_delay(elapsed: float) -> float:
    """
    Return how many seconds to wait until the next look: a twentieth of the time gone by, so that
    nobody waits much longer than a picture took, and a slow one is not looked at a thousand times.

    Args:
        elapsed: Seconds since the request was sent.
    """
    return min(max(_SHORTEST_DELAY, elapsed / _SHARE), _LONGEST_DELAY)


def longest_silence(left: float) -> float:
    """
    Return after how many seconds without a byte a look counts as lost, so that there is time for
    others.

    Args:
        left: Seconds that are left for all of them.
    """
    return max(MIN_REQUEST_TIMEOUT, min(MIN_REQUEST_SECONDS, left / 4))


def poll_response(
    turn: Turn,
    response_id: str,
    deadline: float,
    *,
    since: float | None = None,
    age: float = 0.0,
    least: float = MIN_REQUEST_TIMEOUT,
) -> Workflow[ResponseOutcome]:
    """
    Look for a response until it is finished. Looking is free, so any failure is tried again.

    Where a finished response does not show its picture, its events are replayed from the start.

    Args:
        turn: The turn that it is for.
        response_id: The provider's id.
        deadline: When to stop, by the clock of `Now`; there is one look at least.
        since: When the request was sent, by the clock of `Now`; left out, now.
        age: Seconds that the response is older than that.
        least: Seconds that a look may take even if it ends behind the deadline.

    Raises:
        OutcomeUnknownError: It is not finished in time, or the provider does not show its picture.
        InvalidResponseError: It is larger than any response should be.
    """
    now = yield from MonotonicTime()
    start = now if since is None else since
    spoilt = 0
    while True:
        reply = yield from _fetch_response(response_id, deadline, least)
        now = yield from MonotonicTime()
        pause = poll_delay(now - start)
        if reply is not None and is_success(reply):
            outcome = yield from _parse_or_none(turn, reply)
            if outcome is not None and outcome.finished:
                spoilt += outcome.all_unreadable
                if (
                    not outcome.all_unreadable
                    or spoilt > _MAX_UNREADABLE_REPLIES
                    or now >= deadline
                ):
                    whole = yield from quarantine_if_unreadable(turn, outcome, reply.body)
                    return (yield from with_picture(turn, response_id, whole, deadline, least))
            elif outcome is not None:
                yield from report_status(turn, outcome.status)
        elif reply is not None:
            _raise_if_final(reply, age + now - start, turn, response_id)
            pause = max(pause, parse_retry_after(reply) or 0.0)
        if now >= deadline:
            break
        yield from Sleep(min(pause, deadline - now))
    raise OutcomeUnknownError(
        f"There was no picture {now - start:.1f} seconds after the provider accepted the request. "
        "It may still be made; its id is kept in the library's journal.",
        turn.id,
        response_id,
    )


def with_picture(
    turn: Turn,
    response_id: str | None,
    outcome: ResponseOutcome,
    deadline: float,
    least: float = MIN_REQUEST_TIMEOUT,
) -> Workflow[ResponseOutcome]:
    """
    Return a finished outcome with its picture: where the response that told of it holds no bytes,
    its events are replayed from the start. What breaks off proves nothing, and is tried again.

    Raises:
        OutcomeUnknownError: Nothing shows the picture, which was made and billed.
    """
    if not outcome.withheld:
        return outcome
    replayed = None
    if response_id is not None:
        replayed = yield from _replay(turn, response_id, deadline, least)
        if replayed is not None and (replayed.pictures or replayed.error):
            return attrs.evolve(
                outcome,
                pictures=replayed.pictures,
                unreadable=replayed.unreadable,
                error=replayed.error,
                withheld=False,
            )
    raise OutcomeUnknownError(
        "The provider says that the picture is finished, and does not show its bytes. It was "
        "probably billed; it is not requested again by itself.",
        turn.id,
        response_id,
        finished=response_id is None or replayed is not None,
    )


def _replay(
    turn: Turn, response_id: str, deadline: float, least: float
) -> Workflow[ResponseOutcome | None]:
    """
    Have the provider send the events of a response once more, from the first one, until they come
    whole; None where they never did.
    """
    replayed = None
    for delay in (0.0, *_REPLAY_DELAYS):
        if delay:
            if (yield from MonotonicTime()) + delay >= deadline:
                break
            yield from Sleep(delay)
        replayed = (yield from _replay_once(turn, response_id, deadline, least)) or replayed
        if replayed is not None and not replayed.all_unreadable:
            break
    return replayed


def _replay_once(
    turn: Turn, response_id: str, deadline: float, least: float
) -> Workflow[ResponseOutcome | None]:
    left = max(least, deadline - (yield from MonotonicTime()))
    events = StreamAccumulator()
    nothing = ResponseOutcome(response_id=response_id, finished=True, withheld=True)
    try:
        reply = yield from OpenStream(payloads.resume(response_id, None, left))
        if reply is None:
            outcome = yield from consume(turn, events, (yield from MonotonicTime()) + left)
            came = outcome or events.interrupted()
            # Who sends no event at all keeps none.
            return nothing if came is None and events.response_id is None else came
    except (TransportError, ImageSessionError):
        return events.interrupted()
    if is_success(reply):
        reported = yield from _parse_or_none(turn, reply)
        return reported if reported is not None and reported.finished else None
    return None if _may_pass(reply) else nothing


def consume(
    turn: Turn, events: StreamAccumulator, deadline: float
) -> Workflow[ResponseOutcome | None]:
    """
    Take in the events of an open stream until they tell the outcome. A picture is on the disk
    before the next event is waited for.

    Returns:
        The outcome; None where the stream ended before, or goes on for too long.

    Raises:
        InvalidResponseError: An event makes no sense, and no picture came before it.
        ImageSessionError: An event is an error.
        TransportError: The connection broke.
    """
    known, status = events.response_id, events.status
    while (yield from MonotonicTime()) < deadline:
        data = yield from NextEvent()
        if data is None:
            return None
        try:
            came = list(events.feed(data))
        except InvalidResponseError as error:
            raise (yield from quarantine(turn, data, error)) from error
        if events.response_id != known:
            known = events.response_id
            yield from record_response_id(turn, known)
        yield from _take_in(turn, came)
        if events.status != status:
            status = events.status
            yield from report_status(turn, status)
        if events.outcome is not None:
            return (yield from quarantine_if_unreadable(turn, events.outcome, data))
    return None


def _take_in(turn: Turn, came: list[PartialImage | ReceivedImage]) -> Workflow[None]:
    for image in came:
        if isinstance(image, PartialImage):
            yield from EmitPartial(image)
        else:
            yield from stage(turn, image)


def stage(turn: Turn, image: ReceivedImage) -> Workflow[None]:
    """
    Put a finished picture on the disk at once. If the disk does not take it, it is in hand still,
    and is tried again, and elsewhere, when the turn is committed.
    """
    try:
        yield from StoreCall(lambda store: store.stage(turn, image))
    except StorageError:
        return


def record_response_id(turn: Turn, response_id: str | None) -> Workflow[None]:
    """
    Write the provider's id down. A disk that does not take it does not end the call: its picture
    is paid for, and the id is known here as long as the program lives.
    """
    if response_id is None:
        return
    yield from ReportProgress(log=f"turn {turn.id}: accepted as {response_id}")
    try:
        yield from StoreCall(lambda store: store.record_response_id(turn, response_id))
    except StorageError:
        return


def report_status(turn: Turn, status: str | None) -> Workflow[None]:
    """
    Report what the provider says that a response is at.
    """
    if status == "queued":
        yield from ReportProgress("queued", "by the provider", turn.id)
    elif status == "in_progress":
        yield from ReportProgress("generating", turn_id=turn.id)


def _fetch_response(
    response_id: str, deadline: float, least: float
) -> Workflow[HttpResponse | None]:
    """
    Ask once how far a response is; None when there is no answer.

    A picture may take its time as long as it comes, up to half of what is left: silence and a
    trickle are answered by another look.
    """
    left = deadline - (yield from MonotonicTime())
    request = payloads.retrieve_response(response_id, max(least, left / 2), longest_silence(left))
    try:
        return (yield from Send(request))
    except TransportError:
        return None


def _parse_or_none(turn: Turn, reply: HttpResponse) -> Workflow[ResponseOutcome | None]:
    """
    Parse what a look showed; what makes no sense may make some the next time.
    """
    try:
        return parse_response(reply)
    except InvalidResponseError as error:
        reported = yield from quarantine(turn, reply.body, error)
        if not reply.whole:
            raise reported from error
        return None


def _may_pass(reply: HttpResponse) -> bool:
    return reply.status >= _SERVER_ERROR or reply.status in TRANSIENT


def _raise_if_final(reply: HttpResponse, elapsed: float, turn: Turn, response_id: str) -> None:
    """
    Stop where looking again is useless.
    """
    missing = reply.status == _NOT_FOUND
    if _may_pass(reply) or (missing and elapsed <= _SECONDS_FOR_404):
        return
    error = map_error_response(reply)
    raise OutcomeUnknownError(
        f"The provider accepted the request and will not show its outcome: {error}",
        turn.id,
        response_id,
    ) from error
