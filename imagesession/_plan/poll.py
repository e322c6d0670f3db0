"""
Follow a response by its id until it is finished: poll it, or replay its events. Both are free.
"""

from __future__ import annotations

import attrs

from imagesession._model.partials import PartialImage
from imagesession._model.turns import Turn
from imagesession.errors import ImageSessionError, LibraryError, OutcomeUnknownError, ReplyError

from . import requests
from .failures import error_of, retry_after
from .outcomes import Outcome
from .quarantine import quarantine, quarantine_if_unreadable
from .replies import is_success, read_reply
from .steps import Emit, Flow, Hear, Listen, Now, OnDisk, ReportProgress, Send, Wait
from .streams import StreamAccumulator
from .wire import NoReplyError, Received, Reply

MIN_REQUEST_TIMEOUT = 1.0
"""Seconds that a request may take, however little time is left."""
TRANSIENT = frozenset({408, 409, 425, 429})
"""Of what HTTP calls the caller's errors, those that may be gone the next time."""
# A new response's id may not be known everywhere at once.
_SECONDS_FOR_404 = 30.0
_NOT_FOUND, _SERVER_ERROR = 404, 500
LOOK_SECONDS = 30.0
"""Seconds that a look may take where there is time, as a picture may come with it."""
# An image that came spoilt may have been spoilt on the way, and is asked for again so often.
_SPOILT_LOOKS = 3
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
    return max(MIN_REQUEST_TIMEOUT, min(LOOK_SECONDS, left / 4))


def poll_response(
    turn: Turn,
    response_id: str,
    deadline: float,
    *,
    since: float | None = None,
    age: float = 0.0,
    least: float = MIN_REQUEST_TIMEOUT,
) -> Flow[Outcome]:
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
        ReplyError: It is larger than any response should be.
    """
    now = yield from Now()
    start = now if since is None else since
    spoilt = 0
    while True:
        reply = yield from _look(response_id, deadline, least)
        now = yield from Now()
        pause = poll_delay(now - start)
        if reply is not None and is_success(reply):
            outcome = yield from _parse_or_none(turn, reply)
            if outcome is not None and outcome.finished:
                spoilt += outcome.all_spoilt
                if not outcome.all_spoilt or spoilt > _SPOILT_LOOKS or now >= deadline:
                    whole = yield from quarantine_if_unreadable(turn, outcome, reply.body)
                    return (yield from with_picture(turn, response_id, whole, deadline, least))
            elif outcome is not None:
                yield from report_status(turn, outcome.status)
        elif reply is not None:
            _raise_if_final(reply, age + now - start, turn, response_id)
            pause = max(pause, retry_after(reply) or 0.0)
        if now >= deadline:
            break
        yield from Wait(min(pause, deadline - now))
    raise OutcomeUnknownError(
        f"There was no picture {now - start:.1f} seconds after the provider accepted the request. "
        "It may still be made; its id is kept in the library's journal.",
        turn.id,
        response_id,
    )


def with_picture(
    turn: Turn,
    response_id: str | None,
    outcome: Outcome,
    deadline: float,
    least: float = MIN_REQUEST_TIMEOUT,
) -> Flow[Outcome]:
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
                spoilt=replayed.spoilt,
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


def _replay(turn: Turn, response_id: str, deadline: float, least: float) -> Flow[Outcome | None]:
    """
    Have the provider send the events of a response once more, from the first one, until they come
    whole; None where they never did.
    """
    replayed = None
    for delay in (0.0, *_REPLAY_DELAYS):
        if delay:
            if (yield from Now()) + delay >= deadline:
                break
            yield from Wait(delay)
        replayed = (yield from _replay_once(turn, response_id, deadline, least)) or replayed
        if replayed is not None and not replayed.all_spoilt:
            break
    return replayed


def _replay_once(
    turn: Turn, response_id: str, deadline: float, least: float
) -> Flow[Outcome | None]:
    left = max(least, deadline - (yield from Now()))
    events = StreamAccumulator()
    nothing = Outcome(response_id=response_id, finished=True, withheld=True)
    try:
        reply = yield from Listen(requests.resume(response_id, None, left))
        if reply is None:
            outcome = yield from consume(turn, events, (yield from Now()) + left)
            came = outcome or events.interrupted()
            # Who sends no event at all keeps none.
            return nothing if came is None and events.response_id is None else came
    except (NoReplyError, ImageSessionError):
        return events.interrupted()
    if is_success(reply):
        told = yield from _parse_or_none(turn, reply)
        return told if told is not None and told.finished else None
    return None if _may_pass(reply) else nothing


def consume(turn: Turn, events: StreamAccumulator, deadline: float) -> Flow[Outcome | None]:
    """
    Take in the events of an open stream until they tell the outcome. A picture is on the disk
    before the next event is waited for.

    Returns:
        The outcome; None where the stream ended before, or goes on for too long.

    Raises:
        ReplyError: An event makes no sense, and no picture came before it.
        ImageSessionError: An event is an error.
        NoReplyError: The connection broke.
    """
    known, status = events.response_id, events.status
    while (yield from Now()) < deadline:
        data = yield from Hear()
        if data is None:
            return None
        try:
            came = list(events.feed(data))
        except ReplyError as error:
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


def _take_in(turn: Turn, came: list[PartialImage | Received]) -> Flow[None]:
    for image in came:
        if isinstance(image, PartialImage):
            yield from Emit(image)
        else:
            yield from stage(turn, image)


def stage(turn: Turn, image: Received) -> Flow[None]:
    """
    Put a finished picture on the disk at once. If the disk does not take it, it is in hand still,
    and is tried again, and elsewhere, when the turn is committed.
    """
    try:
        yield from OnDisk(lambda store: store.stage(turn, image))
    except LibraryError:
        return


def record_response_id(turn: Turn, response_id: str | None) -> Flow[None]:
    """
    Write the provider's id down. A disk that does not take it does not end the call: its picture
    is paid for, and the id is known here as long as the program lives.
    """
    if response_id is None:
        return
    yield from ReportProgress(log=f"turn {turn.id}: accepted as {response_id}")
    try:
        yield from OnDisk(lambda store: store.note(turn, response_id))
    except LibraryError:
        return


def report_status(turn: Turn, status: str | None) -> Flow[None]:
    """
    Report what the provider says that a response is at.
    """
    if status == "queued":
        yield from ReportProgress("waiting", "the provider has queued it", turn.id)
    elif status == "in_progress":
        yield from ReportProgress("drawing", turn_id=turn.id)


def _look(response_id: str, deadline: float, least: float) -> Flow[Reply | None]:
    """
    Ask once how far a response is; None when there is no answer.

    A picture may take its time as long as it comes, up to half of what is left: silence and a
    trickle are answered by another look.
    """
    left = deadline - (yield from Now())
    request = requests.retrieve(response_id, max(least, left / 2), longest_silence(left))
    try:
        return (yield from Send(request))
    except NoReplyError:
        return None


def _parse_or_none(turn: Turn, reply: Reply) -> Flow[Outcome | None]:
    """
    Parse what a look showed; what makes no sense may make some the next time.
    """
    try:
        return read_reply(reply)
    except ReplyError as error:
        told = yield from quarantine(turn, reply.body, error)
        if not reply.whole:
            raise told from error
        return None


def _may_pass(reply: Reply) -> bool:
    return reply.status >= _SERVER_ERROR or reply.status in TRANSIENT


def _raise_if_final(reply: Reply, elapsed: float, turn: Turn, response_id: str) -> None:
    """
    Stop where looking again is useless.
    """
    missing = reply.status == _NOT_FOUND
    if _may_pass(reply) or (missing and elapsed <= _SECONDS_FOR_404):
        return
    error = error_of(reply)
    raise OutcomeUnknownError(
        f"The provider accepted the request and will not show its outcome: {error}",
        turn.id,
        response_id,
    ) from error
