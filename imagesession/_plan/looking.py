"""
Look for a reply by its id, until it is finished. Looking is free.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import attrs

from imagesession._model.turns import Turn
from imagesession.errors import OutcomeUnknownError, ReplyError

from . import requests
from .failures import error_of, retry_after
from .replies import Outcome, is_success, read_reply
from .steps import Flow, Now, OnDisk, Send, Wait
from .wire import NoReplyError, Reply

LEAST_SECONDS = 1.0
"""What a request may take, however little time is left."""
_TRANSIENT = frozenset({408, 409, 425, 429})
_PATIENCE_FOR_404 = 30.0
_SERVER_ERROR = 500
_QUICK = 0.02
_LOOK_SECONDS = 30.0
# What came spoilt is looked at again so often: it may have been spoilt on the way.
_SPOILT_LOOKS = 3


def poll(
    turn: Turn,
    response_id: str,
    deadline: float,
    *,
    asking: float = 0.0,
    least: float = LEAST_SECONDS,
) -> Flow[Outcome]:
    """
    Look for a reply until it is finished. Looking is free, so it is tried again after any failure.

    Args:
        turn: The turn that it is for.
        response_id: The reply's id.
        deadline: When to stop, by the clock of `Now`.
        asking: Seconds that asking took; see `looks`.
        least: Seconds that a look may take even if it ends behind the deadline.

    Raises:
        OutcomeUnknownError: It is not finished in time, or the provider will not say.
        ReplyError: It is larger than any reply should be.
    """
    start = now = yield from Now()
    spoilt = 0
    for due in looks(asking):
        yield from Wait(max(0.0, min(start + due, deadline) - now))
        reply = yield from _look(response_id, start, deadline, least)
        now = yield from Now()
        if reply is not None and is_success(reply):
            outcome = yield from _sense(turn, reply)
            if outcome is not None and outcome.finished:
                spoilt += outcome.all_spoilt
                if not outcome.all_spoilt or spoilt > _SPOILT_LOOKS or now >= deadline:
                    return (yield from kept(turn, outcome, reply.body))
        elif reply is not None:
            _check_final(reply, now - start, turn, response_id)
            yield from Wait(max(0.0, min(retry_after(reply) or 0.0, deadline - now)))
            now = yield from Now()
        if now >= deadline:
            break
    raise OutcomeUnknownError(
        f"There was no picture {now - start:.1f} seconds after the provider accepted the request. "
        "It may still be made; its id is kept in the library's journal.",
        turn.id,
        response_id,
    )


def _look(response_id: str, start: float, deadline: float, least: float) -> Flow[Reply | None]:
    """
    Ask once how far a reply is; None when there is no answer.

    A picture may take its time as long as it comes, up to half of what is left: silence and a
    trickle are answered by another look.
    """
    left = max(least, (deadline - (yield from Now())) / 2)
    silence = max(LEAST_SECONDS, min(_LOOK_SECONDS, (deadline - start) / 4))
    try:
        return (yield from Send(requests.retrieve(response_id, left, silence)))
    except NoReplyError:
        return None


def _sense(turn: Turn, reply: Reply) -> Flow[Outcome | None]:
    """
    Read what was looked at; what makes no sense may make some the next time.
    """
    try:
        return read_reply(reply)
    except ReplyError as error:
        told = yield from spilled(turn, reply.body, error)
        if not reply.whole:
            raise told from error
        return None


def looks(asking: float) -> Iterator[float]:
    """
    Yield the seconds after which to look, counted from the provider's acceptance.

    The first look comes at once where asking was quick, else after ten times as long: then
    provider, network or this process are busy, and other requests go first. Later looks are ever
    rarer.

    Args:
        asking: Seconds that asking took.
    """
    yield from (0.0 if asking < _QUICK else min(10 * asking, 0.3), 0.3, 1.0, 2.0, 3.5)
    yield from itertools.count(5.5, 2.0)


def _check_final(reply: Reply, elapsed: float, turn: Turn, response_id: str) -> None:
    """
    Stop where looking again is useless. A new reply's id may not be known everywhere at once.
    """
    missing = reply.status == 404  # noqa: PLR2004 - HTTP's "not found"
    if missing and elapsed <= _PATIENCE_FOR_404:
        return
    if not missing and (reply.status >= _SERVER_ERROR or reply.status in _TRANSIENT):
        return
    error = error_of(reply)
    raise OutcomeUnknownError(
        f"The provider accepted the request and will not show its outcome: {error}",
        turn.id,
        response_id,
    ) from error


def kept(turn: Turn, outcome: Outcome, body: bytes) -> Flow[Outcome]:
    """
    Keep the bytes of a finished reply in which something that was paid for cannot be read.
    """
    if not outcome.spoilt:
        return outcome
    error = outcome.error if isinstance(outcome.error, ReplyError) else ReplyError("")
    told = yield from spilled(turn, body, error)
    return attrs.evolve(outcome, error=told if outcome.error else None)


def spilled(turn: Turn, body: bytes, error: ReplyError) -> Flow[ReplyError]:
    """
    Keep the bytes of a reply that makes no sense; return the error that names their place.
    """
    place = yield from OnDisk(lambda store: store.spill(turn.id, body))
    return ReplyError(f"{error.message} Its bytes are kept in {place}.", error.status, error.code)
