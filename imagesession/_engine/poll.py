"""
Poll a response by its id until it is finished, or replay its events. Both are free.
"""

from __future__ import annotations

from collections.abc import Iterable

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
from .provider_errors import map_error_response
from .quarantine import quarantine, quarantine_if_unreadable
from .responses import is_success, other_turn, parse_response
from .retry_after import read_retry_after
from .streams import StreamAccumulator

MIN_REQUEST_TIMEOUT = 1.0
"""Seconds that a request may take, however little time is left."""
TRANSIENT = frozenset({408, 409, 425, 429})
"""The 4xx statuses that are worth another try."""
# A new response's id may not be known everywhere at once.
_NOT_FOUND_GRACE = 30.0
_NOT_FOUND, _SERVER_ERROR = 404, 500
IMAGE_POLL_TIMEOUT = 30.0
"""Seconds that a poll may take where there is time, as an image may come with it."""
# An unreadable image may have been damaged on the way, and is requested again this often.
_MAX_UNREADABLE_REPLIES = 3
# Seconds before events are requested again that broke off or held an unreadable image.
_REPLAY_DELAYS = (0.2, 0.5, 1.0, 2.0)
# How long a stream whose last event has come without an image is read on: that event may have been
# damaged, and the image still come.
_AFTER_LAST_EVENT_SECONDS = 5.0
_SHORTEST_DELAY, _LONGEST_DELAY = 0.05, 30.0
_DELAY_DIVISOR = 20
# Seconds between polls of a response that may take hours.
_RARELY = 300.0


def poll_delay(elapsed: float, longest: float = _LONGEST_DELAY) -> float:
    """
    Return how many seconds to wait until the next poll.

    It is a twentieth of the time gone by: a caller waits hardly longer than the image took, and a
    slow response is not polled a thousand times.
    """
    return min(max(_SHORTEST_DELAY, elapsed / _DELAY_DIVISOR), longest)


def silence_timeout(left: float) -> float:
    """
    Return after how many seconds without a byte a poll counts as lost, so that there is time for
    more polls.
    """
    return max(MIN_REQUEST_TIMEOUT, min(IMAGE_POLL_TIMEOUT, left / 4))


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
    Poll a response until it is finished. Polling is free, so any failure is retried.

    If a finished response does not hold its image, its events are replayed from the start.

    There is at least one poll, and polls may end for `least` seconds from now even after the
    deadline. The request was sent at `since`, by default now, or `age` seconds before.
    """
    now = yield from MonotonicTime()
    start, latest = now if since is None else since, now + least
    unreadable_replies = 0
    while True:
        reply = yield from _fetch_response(response_id, deadline, least)
        now = yield from MonotonicTime()
        least = max(MIN_REQUEST_TIMEOUT, latest - now)
        delay = poll_delay(now - start, _LONGEST_DELAY if turn.within == "soonest" else _RARELY)
        if reply is not None and is_success(reply):
            outcome = yield from _parse_or_none(turn, reply)
            if outcome is not None and outcome.finished:
                unreadable_replies += outcome.all_unreadable
                # One damaged reply proves nothing, at the deadline either: recovery asks again.
                if not outcome.all_unreadable or unreadable_replies > _MAX_UNREADABLE_REPLIES:
                    readable = yield from quarantine_if_unreadable(turn, outcome, reply.body)
                    return (yield from with_image(turn, response_id, readable, deadline, least))
            elif outcome is not None:
                yield from report_status(turn, outcome.status)
        elif reply is not None:
            _raise_if_final(reply, age + now - start, turn, response_id)
            delay = max(delay, read_retry_after(reply) or 0.0)
        if now >= deadline:
            break
        yield from Sleep(min(delay, deadline - now))
    if unreadable_replies:
        raise OutcomeUnknownError(
            "The image is finished, but its bytes were damaged on the way. studio.recover() asks "
            "for them again, free of charge.",
            turn.id,
            response_id,
        )
    raise OutcomeUnknownError(
        f"There was no image {now - start:.1f} seconds after the provider accepted the request. "
        "It may still be made; its id is kept in the library's journal.",
        turn.id,
        response_id,
    )


def with_image(
    turn: Turn,
    response_id: str | None,
    outcome: ResponseOutcome,
    deadline: float,
    least: float = MIN_REQUEST_TIMEOUT,
) -> Workflow[ResponseOutcome]:
    """
    Return a finished outcome with its image. If the response holds no image bytes, its events are
    replayed from the start; a replay that breaks off proves nothing, and is retried.
    """
    if not outcome.withheld:
        return outcome
    replayed = None
    if response_id is not None:
        replayed = yield from _replay(turn, response_id, deadline, least)
        if replayed is not None and (replayed.images or replayed.error):
            return attrs.evolve(
                outcome,
                images=replayed.images,
                unreadable=replayed.unreadable,
                error=replayed.error,
                withheld=False,
            )
    raise OutcomeUnknownError(
        "The provider says that the image is finished, but does not send its bytes. It was "
        "probably billed, so the request is not sent again automatically.",
        turn.id,
        response_id,
        finished=response_id is None or replayed is not None,
    )


def _replay(
    turn: Turn, response_id: str, deadline: float, least: float
) -> Workflow[ResponseOutcome | None]:
    """
    Have the provider send the events of a response again, from the first one, until they are
    complete; None if they were not before the deadline.
    """
    replayed, withheld = None, 0
    for delay in (0.0, *_REPLAY_DELAYS):
        if delay:
            if (yield from MonotonicTime()) + delay >= deadline:
                return None  # what was damaged so far may be whole later
            yield from Sleep(delay)
        latest = yield from _replay_once(turn, response_id, deadline, least)
        replayed = latest or replayed
        # Events without an image prove nothing once, as the one with it may have been damaged.
        withheld += latest is not None and latest.withheld
        if latest is not None and not latest.all_unreadable and (latest.images or withheld != 1):
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
        if reply.opened:
            outcome = yield from consume(turn, events, (yield from MonotonicTime()) + left)
            outcome = outcome or events.interrupted()
            # A provider that sends no event at all does not keep them.
            return nothing if outcome is None and events.response_id is None else outcome
    except (TransportError, ImageSessionError):
        return events.interrupted()
    if is_success(reply):
        outcome = yield from _parse_or_none(turn, reply)
        return outcome if outcome is not None and outcome.finished else None
    return None if _is_transient(reply) else nothing


def answers_another_turn(body: bytes, turn: Turn) -> Workflow[bool]:
    """
    Tell whether a reply, or the data of an event, answers the request of another turn of the
    library: a gateway or a shared connection may have mixed up two answers. A recording that is
    played again has the mark of a turn that the library does not know.
    """
    marked = other_turn(body, turn.id)
    return marked is not None and (yield from StoreCall(lambda store: store.intents.knows(marked)))


def consume(
    turn: Turn, events: StreamAccumulator, deadline: float
) -> Workflow[ResponseOutcome | None]:
    """
    Read the events of an open stream until they tell the outcome; None if the stream ended before,
    or goes on past the deadline. An outcome without an image is returned only when the stream has
    ended. An image is staged before the next event is awaited. After an event that cannot be read,
    the image may still come; if it does not, that is an `InvalidResponseError`.
    """
    response_id, status = events.response_id, events.status
    unreadable: list[tuple[bytes, InvalidResponseError]] = []
    last = b""
    while not (events.outcome and events.has_image) and (yield from MonotonicTime()) < deadline:
        data = yield from _next_event(events, unreadable)
        if data is None:
            break
        if (yield from answers_another_turn(data, turn)):
            raise TransportError(sent=True, reason="the answer was another request's")
        try:
            images = list(events.feed(data))
        except InvalidResponseError as error:
            unreadable.append((data, error))
            continue
        if events.response_id != response_id:
            response_id = events.response_id
            yield from record_response_id(turn, response_id)
        for image in images:
            yield from EmitPartial(image) if isinstance(image, PartialImage) else stage(turn, image)
        if events.status != status:
            status = events.status
            yield from report_status(turn, status)
        last = data if events.outcome is not None else last
    if events.outcome is not None:
        return (yield from quarantine_if_unreadable(turn, events.outcome, last))
    if unreadable and events.interrupted() is None:
        cause = unreadable[0][1]
        raise (yield from quarantine(turn, _join(unreadable), cause)) from cause
    return None


def _next_event(
    events: StreamAccumulator, unreadable: list[tuple[bytes, InvalidResponseError]]
) -> Workflow[bytes | None]:
    """
    Wait for an event; if the connection breaks, what could not be read of it is in the error.
    """
    ended = events.outcome is not None
    within = _AFTER_LAST_EVENT_SECONDS if ended else None
    try:
        return (yield from NextEvent(events.has_image, within))
    except TransportError as error:
        if ended and not error.body:
            return None
        error.body = _join([*unreadable, (error.body, error)]) if unreadable else error.body
        raise


def _join(parts: Iterable[tuple[bytes, Exception]]) -> bytes:
    return b"\n".join(data for data, _ in parts)


def stage(turn: Turn, image: ReceivedImage) -> Workflow[None]:
    """
    Stage a finished image at once. If writing fails, the image is still in memory, and is written
    again, possibly elsewhere, when the turn is committed.
    """
    try:
        yield from StoreCall(lambda store: store.turns.stage(turn, image))
    except StorageError:
        return


def record_response_id(turn: Turn, response_id: str | None) -> Workflow[None]:
    """
    Record the provider's id. A failed write does not end the call: its image is paid for, and the
    id is in memory as long as the program runs.
    """
    if response_id is None:
        return
    request = f" (request {turn.request_id})" if turn.request_id else ""
    yield from ReportProgress(log=f"turn {turn.id}: accepted as {response_id}{request}")
    try:
        yield from StoreCall(lambda store: store.intents.record_response_id(turn, response_id))
    except StorageError:
        return


def report_status(turn: Turn, status: str | None) -> Workflow[None]:
    if status == "queued":
        yield from ReportProgress("queued", "by the provider", turn.id)
    elif status == "in_progress":
        yield from ReportProgress("generating", turn_id=turn.id)


def _fetch_response(
    response_id: str, deadline: float, least: float
) -> Workflow[HttpResponse | None]:
    """
    Retrieve a response once; None if there is no answer.

    An answer may take up to half of the time left: silence and a trickle end in another poll.
    """
    left = deadline - (yield from MonotonicTime())
    request = payloads.retrieve_response(response_id, max(least, left / 2), silence_timeout(left))
    try:
        return (yield from Send(request))
    except TransportError:
        return None


def _parse_or_none(turn: Turn, reply: HttpResponse) -> Workflow[ResponseOutcome | None]:
    """
    Parse the answer to a poll; None if it cannot be read or is another turn's, as the next one may
    be readable.
    """
    if (yield from answers_another_turn(reply.body, turn)):
        return None
    try:
        return parse_response(reply)
    except InvalidResponseError as error:
        quarantined = yield from quarantine(turn, reply.body, error)
        if not reply.whole:
            raise quarantined from error
        return None


def _is_transient(reply: HttpResponse) -> bool:
    return reply.status >= _SERVER_ERROR or reply.status in TRANSIENT


def _raise_if_final(reply: HttpResponse, elapsed: float, turn: Turn, response_id: str) -> None:
    missing = reply.status == _NOT_FOUND
    if _is_transient(reply) or (missing and elapsed <= _NOT_FOUND_GRACE):
        return
    error = map_error_response(reply)
    raise OutcomeUnknownError(
        f"The provider accepted the request, but does not return its outcome: {error}",
        turn.id,
        response_id,
    ) from error
