"""
Get one picture out of the provider: ask once, then look until it is there (see `looking`).

The request that is paid for is sent once. It is sent again only where the provider has said that
it did no work: when it forgot the conversation, or does not work in the background.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from imagesession._model.turns import Knowing, Turn
from imagesession.errors import (
    LibraryError,
    OutcomeUnknownError,
    ProviderError,
    RejectedError,
    ReplyError,
    StreamCutError,
    TryLaterError,
    UnavailableError,
)

from . import images_api, requests
from .context import continued, rebuilt, remembered, retold
from .failures import (
    BackgroundRefusedError,
    ContextLostError,
    FileLostError,
    NoResponsesError,
    error_of,
    lacks_responses,
)
from .looking import LEAST_SECONDS, kept, poll, spilled
from .replies import Outcome, is_success, named_id, read_reply, read_words, whole_reply
from .requests import Context, Order
from .retrying import persist
from .steps import Emit, Flow, Hear, Listen, Now, OnDisk, Send
from .streams import Fold
from .uploads import forget
from .wire import NoReplyError, Reply, Request
from .wishes import Terms


def deliver(order: Order, past: tuple[Turn, ...], terms: Terms) -> Flow[tuple[Outcome, Knowing]]:
    """
    Ask for a picture and wait for it, with what came before as context.

    Args:
        order: What is wanted.
        past: The turns that it continues, the oldest first.
        terms: How long to go on trying and looking.

    Returns:
        What came back, and how the model knew what came before.

    Raises:
        ImageSessionError: The provider did not answer for the request, and the error says why.
    """
    deadline = (yield from Now()) + terms.timeout
    try:
        return (yield from _in_context(order, past, terms, deadline))
    except FileLostError:
        yield from forget(order.files, order.turn.provider)
    try:
        return (yield from _in_context(attrs.evolve(order, files={}), past, terms, deadline))
    except FileLostError as error:
        raise RejectedError(f"The provider rejects the request: {error}") from error


def _in_context(
    order: Order, past: tuple[Turn, ...], terms: Terms, deadline: float
) -> Flow[tuple[Outcome, Knowing]]:
    """
    Ask in the cheapest way in which the model knows what came before.
    """
    if (yield from goes_directly(order)):
        return (yield from _directly(order, past, terms, deadline))
    try:
        return (yield from _by_responses(order, past, terms, deadline))
    except NoResponsesError:
        yield from OnDisk(lambda store: store.note_no_responses(order.turn.provider))
        return (yield from _directly(order, past, terms, deadline))


def goes_directly(order: Order) -> Flow[bool]:
    """
    Tell whether an order goes to the Images API: for what only that takes, and where there is
    nothing else.
    """
    if order.markup is not None:
        return True
    return not (yield from OnDisk(lambda store: store.speaks_responses(order.turn.provider)))


def _by_responses(
    order: Order, past: tuple[Turn, ...], terms: Terms, deadline: float
) -> Flow[tuple[Outcome, Knowing]]:
    known = remembered(past, order.turn.provider)
    if known is not None:
        context = yield from continued(known, past, order)
        try:
            return (yield from _ask(order, context, terms, deadline)), "continued"
        except ContextLostError:
            pass
    context = yield from rebuilt(past, order)
    try:
        outcome = yield from _ask(order, context, terms, deadline)
    except ContextLostError as error:
        raise RejectedError(f"The provider rejects the request: {error}") from error
    return outcome, "rebuilt" if past else "fresh"


def _directly(
    order: Order, past: tuple[Turn, ...], terms: Terms, deadline: float
) -> Flow[tuple[Outcome, Knowing]]:
    """
    Ask the image model itself, which knows nothing: it is told what came before, and shown it.
    """
    words, pictures = yield from retold(order, past)
    request = images_api.draw(order, pictures, words, terms.timeout)
    reply = yield from _send(order.turn, request, terms, deadline)
    outcome = yield from _read_paid(order.turn, reply, images_api.read_images)
    whole = yield from kept(order.turn, outcome, reply.body)
    return whole, "rebuilt" if past else "fresh"


def _ask(order: Order, context: Context, terms: Terms, deadline: float) -> Flow[Outcome]:
    """
    Ask in the background, which survives a lost connection; by a plain stream where refused.
    """
    try:
        if order.partial_images:
            request = requests.create(order, context, "background stream")
            return (yield from _listen(order.turn, request, terms, deadline, resumable=True))
        request = requests.create(order, context, "background")
        return (yield from _post(order.turn, request, terms, deadline))
    except BackgroundRefusedError:
        pass
    try:
        request = requests.create(order, context, "stream")
        return (yield from _listen(order.turn, request, terms, deadline, resumable=False))
    except BackgroundRefusedError as error:
        raise RejectedError(f"The provider rejects the request: {error}") from error


def look_at(order: Order, request: Request, terms: Terms) -> Flow[Outcome]:
    """
    Have a picture looked at, and read what is said of it.

    Raises:
        FileLostError: The provider does not hold the picture any more.
        ImageSessionError: The provider did not answer for the request, and the error says why.
    """
    deadline = (yield from Now()) + terms.timeout
    reply = yield from _send(order.turn, request, terms, deadline)
    if lacks_responses(reply):
        raise RejectedError(
            "This server does not speak Responses, without which no picture can be looked at. "
            "Say what to change yourself, with edit()."
        )
    return (yield from _read_paid(order.turn, reply, read_words))


def _send(turn: Turn, request: Request, terms: Terms, deadline: float) -> Flow[Reply]:
    """
    Send the request that is paid for, until it is taken up; once it may have been, never again.
    """
    return (yield from persist(lambda: _try_to_send(turn, request, deadline), turn, terms))


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


def _post(turn: Turn, request: Request, terms: Terms, deadline: float) -> Flow[Outcome]:
    asked = yield from Now()
    try:
        reply = yield from _send(turn, request, terms, deadline)
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
        outcome = yield from _read_paid(turn, reply, read_reply)
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


def _read_paid(turn: Turn, reply: Reply, read: Callable[[Reply], Outcome]) -> Flow[Outcome]:
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


def _listen(
    turn: Turn, request: Request, terms: Terms, deadline: float, *, resumable: bool
) -> Flow[Outcome]:
    """
    Fold a stream. One that is cut or makes no sense is looked up by its id, if the work goes on
    without us.
    """
    reply = yield from persist(lambda: _try_to_listen(turn, request, deadline), turn, terms)
    if reply is not None:
        return (yield from _follow(turn, reply, deadline))
    fold = Fold()
    reason = "it just ended"
    try:
        outcome = yield from _hear_out(turn, fold, deadline)
        if outcome is not None and not (resumable and outcome.all_spoilt):
            return outcome
    except NoReplyError as error:
        reason = error.reason
    except ProviderError:
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


def _hear_out(turn: Turn, fold: Fold, deadline: float) -> Flow[Outcome | None]:
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
