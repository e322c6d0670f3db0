"""
Get one picture out of the provider: ask once, then look until it is there.

The request that is paid for is sent once. It is sent again only where the provider has said that
it did no work: when it forgot the conversation, or does not work in the background.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from imagesession._model.turns import Knowing, Turn
from imagesession.errors import (
    OutcomeUnknownError,
    ProviderError,
    RejectedError,
    ReplyError,
    StreamCutError,
    UnavailableError,
)

from . import requests
from .context import continued, rebuilt, remembered
from .replies import (
    BackgroundRefusedError,
    ContextLostError,
    Outcome,
    error_of,
    is_success,
    read_reply,
    retry_after,
)
from .requests import Context, Order
from .steps import Emit, Flow, Hear, Listen, OnDisk, Send, Wait
from .streams import Fold
from .wire import NoReplyError, Reply, Request

_TRANSIENT = frozenset({404, 408, 409, 425, 429})
_PATIENCE_FOR_404 = 30.0
_SERVER_ERROR = 500
_QUICK = 0.02


def deliver(
    order: Order, past: tuple[Turn, ...], provider: str, timeout: float
) -> Flow[tuple[Outcome, Knowing]]:
    """
    Ask for a picture and wait for it, with what came before as context.

    Args:
        order: What is wanted.
        past: The turns that it continues, the oldest first.
        provider: Who is asked.
        timeout: Seconds after which to stop looking for a picture that was accepted.

    Returns:
        What came back, and how the model knew what came before.

    Raises:
        ImageSessionError: There is no picture, and the error says why.
    """
    known = remembered(past, provider)
    if known is not None:
        try:
            return (yield from _ask(order, continued(known), timeout)), "continued"
        except ContextLostError:
            pass
    context = yield from rebuilt(past)
    try:
        outcome = yield from _ask(order, context, timeout)
    except ContextLostError as error:
        raise RejectedError(f"The provider rejects the request: {error}") from error
    return outcome, "rebuilt" if past else "fresh"


def _ask(order: Order, context: Context, timeout: float) -> Flow[Outcome]:
    """
    Ask in the background, which survives a lost connection; by a plain stream where refused.
    """
    try:
        if order.partial_images:
            request = requests.create(order, context, "background stream")
            return (yield from _listen(order.turn.id, request, timeout, resumable=True))
        request = requests.create(order, context, "background")
        return (yield from _post(order.turn.id, request, timeout))
    except BackgroundRefusedError:
        request = requests.create(order, context, "stream")
        return (yield from _listen(order.turn.id, request, timeout, resumable=False))


def _post(turn_id: str, request: Request, timeout: float) -> Flow[Outcome]:
    asked = yield from Wait(0)
    try:
        reply = yield from Send(request)
    except NoReplyError as error:
        raise _unanswered(turn_id, error) from error
    answered = yield from Wait(0)
    return (yield from _follow(turn_id, reply, timeout, first_look=answered - asked))


def _follow(
    turn_id: str, reply: Reply, timeout: float, *, first_look: float = 0.0
) -> Flow[Outcome]:
    """
    Read the reply to the paid request; look again until it is finished.
    """
    outcome = yield from _read(turn_id, reply)
    if outcome.finished:
        return outcome
    if outcome.response_id is None:
        raise OutcomeUnknownError(
            "The provider accepted the request and gave no id to ask for its outcome.", turn_id
        )
    yield from _note(turn_id, outcome.response_id)
    return (yield from poll(turn_id, outcome.response_id, timeout, first_look=first_look))


def _listen(turn_id: str, request: Request, timeout: float, *, resumable: bool) -> Flow[Outcome]:
    """
    Fold a stream. One that is cut is looked up by its id, if the work goes on without us.
    """
    try:
        reply = yield from Listen(request)
    except NoReplyError as error:
        raise _unanswered(turn_id, error) from error
    if reply is not None:
        return (yield from _follow(turn_id, reply, timeout))
    fold = Fold()
    try:
        outcome = yield from _hear_out(turn_id, fold)
        reason = "it just ended"
    except NoReplyError as error:
        outcome, reason = None, error.reason
    if outcome is not None:
        return outcome
    if resumable and fold.response_id is not None:
        return (yield from poll(turn_id, fold.response_id, timeout))
    raise StreamCutError(
        f"The stream was cut before its last event ({reason}). The picture may have been made and "
        "billed; it is not asked for again by itself.",
        turn_id,
        fold.response_id,
    )


def _hear_out(turn_id: str, fold: Fold) -> Flow[Outcome | None]:
    """
    Feed events to the fold until it knows the outcome; None when the stream ends before.
    """
    noted = False
    while fold.outcome is None:
        data = yield from Hear()
        if data is None:
            return None
        try:
            partials = list(fold.feed(data))
        except ReplyError as error:
            raise (yield from _spilled(turn_id, data, error)) from error
        if fold.response_id is not None and not noted:
            yield from _note(turn_id, fold.response_id)
            noted = True
        for partial in partials:
            yield from Emit(partial)
    return fold.outcome


def poll(
    turn_id: str, response_id: str, timeout: float, *, first_look: float = 0.0
) -> Flow[Outcome]:
    """
    Look for a reply until it is finished. Looking is free, so it is tried again after any failure.

    Args:
        turn_id: The turn that it is for.
        response_id: The reply's id.
        timeout: Seconds after which to stop.
        first_look: Seconds after which to look first.

    Raises:
        OutcomeUnknownError: It is not finished in time, or the provider will not say.
        ImageSessionError: It is finished without a picture.
    """
    start = now = yield from Wait(0)
    for due in looks(first_look):
        now = yield from Wait(max(0.0, min(due, timeout) - (now - start)))
        try:
            reply = yield from Send(requests.retrieve(response_id))
        except NoReplyError:
            reply = None
        if reply is not None and is_success(reply):
            outcome = yield from _read(turn_id, reply)
            if outcome.finished:
                return outcome
        elif reply is not None and _is_final(reply, now - start):
            error = error_of(reply)
            raise OutcomeUnknownError(
                f"The provider accepted the request and will not show its outcome: {error}",
                turn_id,
                response_id,
            ) from error
        elif reply is not None:
            now = yield from Wait(min(retry_after(reply) or 0.0, max(0.0, start + timeout - now)))
        if now - start >= timeout:
            break
    raise OutcomeUnknownError(
        f"There was no picture after {timeout:g} seconds. It may still be made, and is kept in "
        "the library's journal under its id.",
        turn_id,
        response_id,
    )


def looks(first: float) -> Iterator[float]:
    """
    Yield the seconds after which to look, counted from the provider's acceptance.

    The first look comes at once where asking was quick, else after as long again: then provider
    or network are busy, and other requests go first. Later looks are ever rarer.
    """
    yield from (0.0 if first < _QUICK else min(first, 0.3), 0.3, 1.0, 2.0, 3.5)
    yield from itertools.count(5.5, 2.0)


def _is_final(reply: Reply, elapsed: float) -> bool:
    """
    Tell whether looking again is useless. A new reply's id may not be known everywhere at once.
    """
    if reply.status == 404:  # noqa: PLR2004 - HTTP's "not found"
        return elapsed > _PATIENCE_FOR_404
    return reply.status < _SERVER_ERROR and reply.status not in _TRANSIENT


def _read(turn_id: str, reply: Reply) -> Flow[Outcome]:
    """
    Read a reply; keep the bytes of one that was paid for and makes no sense.
    """
    try:
        return read_reply(reply)
    except ReplyError as error:
        raise (yield from _spilled(turn_id, reply.body, error)) from error
    except ProviderError as error:
        if error.status is None:
            raise
        # The provider broke down somewhere after it had the request.
        raise OutcomeUnknownError(
            f"{error.message} The picture may have been made and billed; it is not asked for "
            "again by itself.",
            turn_id,
        ) from error


def _spilled(turn_id: str, body: bytes, error: ReplyError) -> Flow[ReplyError]:
    place = yield from OnDisk(lambda store: store.spill(turn_id, body))
    return ReplyError(f"{error.message} Its bytes are kept in {place}.", error.status, error.code)


def _note(turn_id: str, response_id: str) -> Flow[None]:
    yield from OnDisk(lambda store: store.note(turn_id, response_id))


def _unanswered(turn_id: str, error: NoReplyError) -> OutcomeUnknownError | UnavailableError:
    if error.sent:
        return OutcomeUnknownError(
            f"The request was sent and its answer was lost ({error.reason}). The picture may have "
            "been made and billed; it is not asked for again by itself.",
            turn_id,
        )
    return UnavailableError(
        f"The provider cannot be reached ({error.reason}); nothing was sent. Check the network "
        "and the base URL."
    )
