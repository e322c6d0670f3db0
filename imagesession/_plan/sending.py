"""
Send the request that is paid for, once, and follow it to its end (see `looking`).

It is sent again only where the provider has said that it did no work.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import attrs

from imagesession._model.partials import PartialImage
from imagesession._model.turns import Turn
from imagesession.errors import (
    LibraryError,
    OutcomeUnknownError,
    ProviderError,
    QuotaError,
    ReplyError,
    StreamCutError,
    TryLaterError,
    UnavailableError,
)

from .failures import NoResponsesError, error_of, lacks_responses
from .looking import LEAST_SECONDS, kept, poll, spilled
from .replies import Outcome, is_success, named_id, read_reply, whole_reply
from .retrying import persist
from .steps import Emit, Flow, Hear, Listen, Now, OnDisk, Send
from .streams import StreamAccumulator
from .wire import NoReplyError, Reply, Request
from .wishes import Terms


def send(turn: Turn, request: Request, terms: Terms, deadline: float) -> Flow[Reply]:
    """
    Send the request that is paid for, until it is taken up; once it may have been, never again.
    """
    attempt = functools.partial(_try_to_send, turn, request, deadline)
    return (yield from persist(attempt, turn, terms, deadline))


def _in_time(request: Request, deadline: float) -> Flow[Request]:
    return attrs.evolve(request, timeout=max(LEAST_SECONDS, deadline - (yield from Now())))


def _try_to_send(turn: Turn, request: Request, deadline: float) -> Flow[Reply]:
    try:
        reply = yield from Send((yield from _in_time(request, deadline)), paid=True)
    except NoReplyError as error:
        came = whole_reply(error.body)
        if came is None:
            raise _unanswered(turn, error) from error
        return came
    return _taken_up(reply)


def _try_to_listen(turn: Turn, request: Request, deadline: float) -> Flow[Reply | None]:
    try:
        reply = yield from Listen((yield from _in_time(request, deadline)))
    except NoReplyError as error:
        raise _unanswered(turn, error) from error
    return None if reply is None else _taken_up(reply)


def _taken_up(reply: Reply) -> Reply:
    """
    Return a reply, unless it says that the provider turned the request away.
    """
    error = None if is_success(reply) else error_of(reply)
    if isinstance(error, TryLaterError):
        raise error
    return reply


def post(turn: Turn, request: Request, terms: Terms, deadline: float) -> Flow[Outcome]:
    asked = yield from Now()
    try:
        reply = yield from send(turn, request, terms, deadline)
    except OutcomeUnknownError as error:
        if error.response_id is None:
            raise
        # Enough of the answer came to look the rest up.
        yield from _note(turn, error.response_id)
        return (yield from poll(turn, error.response_id, deadline))
    answered = yield from Now()
    return (yield from _follow(turn, reply, deadline, asking=answered - asked))


def _follow(turn: Turn, reply: Reply, deadline: float, *, asking: float = 0.0) -> Flow[Outcome]:
    """
    Read the reply to the paid request; look again until it is finished.
    """
    if lacks_responses(reply):
        raise NoResponsesError
    try:
        outcome = yield from read_paid(turn, reply, read_reply)
    except ReplyError:
        if (response_id := named_id(reply.body)) is None:
            raise
        outcome = Outcome(response_id=response_id, finished=False)
    if outcome.response_id is not None:
        yield from _note(turn, outcome.response_id)
    if outcome.finished and not (outcome.all_spoilt and outcome.response_id):
        return (yield from kept(turn, outcome, reply.body))
    if outcome.response_id is None:
        raise OutcomeUnknownError(
            "The provider accepted the request and gave no id to ask for its outcome.", turn.id
        )
    return (yield from poll(turn, outcome.response_id, deadline, asking=asking))


def read_paid(turn: Turn, reply: Reply, read: Callable[[Reply], Outcome]) -> Flow[Outcome]:
    """
    Read the reply to a request that is paid for; its bytes are kept if they make no sense.
    """
    try:
        return read(reply)
    except ReplyError as error:
        raise (yield from spilled(turn, reply.body, error)) from error
    except ProviderError as error:
        # The provider broke down somewhere after it had the request.
        raise OutcomeUnknownError(
            f"{error.message} What was asked for may have been made and billed; it is not asked "
            "for again by itself.",
            turn.id,
        ) from error


def listen(
    turn: Turn, request: Request, terms: Terms, deadline: float, *, resumable: bool
) -> Flow[Outcome]:
    """
    Fold a stream. One that is cut or makes no sense is looked up by its id, if the work goes on
    without us.
    """
    attempt = functools.partial(_try_to_listen, turn, request, deadline)
    reply = yield from persist(attempt, turn, terms, deadline)
    if reply is not None:
        return (yield from _follow(turn, reply, deadline))
    fold = StreamAccumulator()
    reason = "it just ended"
    try:
        outcome = yield from _hear_out(turn, fold, deadline)
        if outcome is not None and not (resumable and outcome.all_spoilt):
            return outcome
    except NoReplyError as error:
        reason = error.reason
    except (ProviderError, QuotaError, TryLaterError):
        # It was taken up, so that its id tells better what became of it.
        if not resumable or fold.response_id is None:
            raise
    if resumable and fold.response_id is not None:
        return (yield from poll(turn, fold.response_id, deadline))
    raise StreamCutError(
        f"The stream was cut before its last event ({reason}). The picture may have been made and "
        "billed; it is not asked for again by itself.",
        turn.id,
        fold.response_id,
    )


def _hear_out(turn: Turn, fold: StreamAccumulator, deadline: float) -> Flow[Outcome | None]:
    """
    Feed events to the fold until it knows the outcome; None when the stream ends before, or goes
    on for too long.
    """
    noted = False
    while (yield from Now()) < deadline:
        data = yield from Hear()
        if data is None:
            return None
        try:
            partials = list(fold.feed(data))
        except ReplyError as error:
            raise (yield from spilled(turn, data, error)) from error
        if fold.response_id is not None and not noted:
            yield from _note(turn, fold.response_id)
            noted = True
        for partial in partials:
            if isinstance(partial, PartialImage):
                yield from Emit(partial)
        if fold.outcome is not None:
            return (yield from kept(turn, fold.outcome, data))
    return None


def _note(turn: Turn, response_id: str) -> Flow[None]:
    """
    Write the provider's id down. A disk that does not take it does not end the call: its picture
    is paid for, and the id is known here as long as the program lives.
    """
    try:
        yield from OnDisk(lambda store: store.note(turn, response_id))
    except LibraryError:
        return


def _unanswered(turn: Turn, error: NoReplyError) -> OutcomeUnknownError | UnavailableError:
    if error.sent:
        return OutcomeUnknownError(
            f"The request was sent and its answer was lost ({error.reason}). What was asked for "
            "may have been made and billed; it is not asked for again by itself.",
            turn.id,
            named_id(error.body),
        )
    return UnavailableError(
        f"The provider cannot be reached ({error.reason}); nothing was sent. Check the network "
        "and the base URL."
    )
