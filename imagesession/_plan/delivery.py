"""
Get one picture out of the provider: ask once, then look until it is there.

The request that is paid for is sent once. It is sent again only where the provider has said that
it did no work: when it forgot the conversation, or does not work in the background.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import attrs

from imagesession._model.turns import Knowing, Turn
from imagesession.errors import (
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
    retry_after,
)
from .replies import Outcome, is_success, read_reply, read_words
from .requests import Context, Order
from .retrying import persist
from .steps import Emit, Flow, Hear, Listen, Now, OnDisk, Send, Wait
from .streams import Fold
from .uploads import forget
from .wire import NoReplyError, Reply, Request
from .wishes import Terms

_TRANSIENT = frozenset({408, 409, 425, 429})
_PATIENCE_FOR_404 = 30.0
_SERVER_ERROR = 500
_QUICK = 0.02
_LOOK_SECONDS = 30.0


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
    try:
        return (yield from _in_context(order, past, terms))
    except FileLostError:
        yield from forget(order.files, order.turn.provider)
    try:
        return (yield from _in_context(attrs.evolve(order, files={}), past, terms))
    except FileLostError as error:
        raise RejectedError(f"The provider rejects the request: {error}") from error


def _in_context(
    order: Order, past: tuple[Turn, ...], terms: Terms
) -> Flow[tuple[Outcome, Knowing]]:
    """
    Ask in the cheapest way in which the model knows what came before.
    """
    if order.markup is not None:
        return (yield from _directly(order, past, terms))
    try:
        return (yield from _by_responses(order, past, terms))
    except NoResponsesError:
        return (yield from _directly(order, past, terms))


def _by_responses(
    order: Order, past: tuple[Turn, ...], terms: Terms
) -> Flow[tuple[Outcome, Knowing]]:
    known = remembered(past, order.turn.provider)
    if known is not None:
        context = yield from continued(known, past, order)
        try:
            return (yield from _ask(order, context, terms)), "continued"
        except ContextLostError:
            pass
    context = yield from rebuilt(past, order)
    try:
        outcome = yield from _ask(order, context, terms)
    except ContextLostError as error:
        raise RejectedError(f"The provider rejects the request: {error}") from error
    return outcome, "rebuilt" if past else "fresh"


def _directly(order: Order, past: tuple[Turn, ...], terms: Terms) -> Flow[tuple[Outcome, Knowing]]:
    """
    Ask the image model itself, which knows nothing: it is told what came before, and shown it.
    """
    words, pictures = yield from retold(order, past)
    request = images_api.draw(order, pictures, words, terms.timeout)
    reply = yield from _send(order.turn, request, terms)
    outcome = yield from _read_paid(order.turn, reply, images_api.read_images)
    kept = yield from _kept(order.turn, outcome, reply.body)
    return kept, "rebuilt" if past else "fresh"


def _ask(order: Order, context: Context, terms: Terms) -> Flow[Outcome]:
    """
    Ask in the background, which survives a lost connection; by a plain stream where refused.
    """
    deadline = (yield from Now()) + terms.timeout
    try:
        if order.partial_images:
            request = requests.create(order, context, "background stream", terms.timeout)
            return (yield from _listen(order.turn, request, terms, deadline, resumable=True))
        request = requests.create(order, context, "background", terms.timeout)
        return (yield from _post(order.turn, request, terms, deadline))
    except BackgroundRefusedError:
        pass
    try:
        request = requests.create(order, context, "stream", terms.timeout)
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
    reply = yield from _send(order.turn, request, terms)
    if lacks_responses(reply):
        raise RejectedError(
            "This server does not speak Responses, without which no picture can be looked at. "
            "Say what to change yourself, with edit()."
        )
    return (yield from _read_paid(order.turn, reply, read_words))


def _send(turn: Turn, request: Request, terms: Terms) -> Flow[Reply]:
    """
    Send the request that is paid for, until it is taken up; once it may have been, never again.
    """
    return (yield from persist(lambda: _try_to_send(turn, request), turn, terms))


def _try_to_send(turn: Turn, request: Request) -> Flow[Reply]:
    try:
        reply = yield from Send(request)
    except NoReplyError as error:
        raise _unanswered(turn, error) from error
    return _taken_up(reply)


def _try_to_listen(turn: Turn, request: Request) -> Flow[Reply | None]:
    try:
        reply = yield from Listen(request)
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
    reply = yield from _send(turn, request, terms)
    answered = yield from Now()
    return (yield from _follow(turn, reply, deadline, asking=answered - asked))


def _follow(turn: Turn, reply: Reply, deadline: float, *, asking: float = 0.0) -> Flow[Outcome]:
    """
    Read the reply to the paid request; look again until it is finished.
    """
    if lacks_responses(reply):
        raise NoResponsesError
    outcome = yield from _read_paid(turn, reply, read_reply)
    if outcome.response_id is not None:
        yield from _note(turn, outcome.response_id)
    if outcome.finished:
        return (yield from _kept(turn, outcome, reply.body))
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
        raise (yield from _spilled(turn, reply.body, error)) from error
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
    reply = yield from persist(lambda: _try_to_listen(turn, request), turn, terms)
    if reply is not None:
        return (yield from _follow(turn, reply, deadline))
    fold = Fold()
    reason = "it just ended"
    try:
        outcome = yield from _hear_out(turn, fold, deadline)
        if outcome is not None:
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
            raise (yield from _spilled(turn, data, error)) from error
        if fold.response_id is not None and not noted:
            yield from _note(turn, fold.response_id)
            noted = True
        for partial in partials:
            yield from Emit(partial)
        if fold.outcome is not None:
            return (yield from _kept(turn, fold.outcome, data))
    return None


def poll(turn: Turn, response_id: str, deadline: float, *, asking: float = 0.0) -> Flow[Outcome]:
    """
    Look for a reply until it is finished. Looking is free, so it is tried again after any failure.

    Args:
        turn: The turn that it is for.
        response_id: The reply's id.
        deadline: When to stop, by the clock of `Now`.
        asking: Seconds that asking took; see `looks`.

    Raises:
        OutcomeUnknownError: It is not finished in time, or the provider will not say.
    """
    start = now = yield from Now()
    for due in looks(asking):
        yield from Wait(max(0.0, min(start + due, deadline) - now))
        reply = yield from _look(response_id, deadline - start)
        now = yield from Now()
        if reply is not None and is_success(reply):
            outcome = yield from _sense(turn, reply)
            if outcome is not None and outcome.finished:
                return (yield from _kept(turn, outcome, reply.body))
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


def _look(response_id: str, patience: float) -> Flow[Reply | None]:
    """
    Ask once how far a reply is; None when there is no answer.
    """
    timeout = max(1.0, min(_LOOK_SECONDS, patience))
    try:
        return (yield from Send(requests.retrieve(response_id, timeout)))
    except NoReplyError:
        return None


def _sense(turn: Turn, reply: Reply) -> Flow[Outcome | None]:
    """
    Read what was looked at; what makes no sense may make some the next time.
    """
    try:
        return read_reply(reply)
    except ReplyError as error:
        yield from _spilled(turn, reply.body, error)
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


def _kept(turn: Turn, outcome: Outcome, body: bytes) -> Flow[Outcome]:
    """
    Keep the bytes of a finished reply in which something that was paid for cannot be read.
    """
    if not outcome.spoilt:
        return outcome
    error = outcome.error if isinstance(outcome.error, ReplyError) else ReplyError("")
    told = yield from _spilled(turn, body, error)
    return attrs.evolve(outcome, error=told if outcome.error else None)


def _spilled(turn: Turn, body: bytes, error: ReplyError) -> Flow[ReplyError]:
    place = yield from OnDisk(lambda store: store.spill(turn.id, body))
    return ReplyError(f"{error.message} Its bytes are kept in {place}.", error.status, error.code)


def _note(turn: Turn, response_id: str) -> Flow[None]:
    yield from OnDisk(lambda store: store.note(turn, response_id))


def _unanswered(turn: Turn, error: NoReplyError) -> OutcomeUnknownError | UnavailableError:
    if error.sent:
        return OutcomeUnknownError(
            f"The request was sent and its answer was lost ({error.reason}). What was asked for "
            "may have been made and billed; it is not asked for again by itself.",
            turn.id,
        )
    return UnavailableError(
        f"The provider cannot be reached ({error.reason}); nothing was sent. Check the network "
        "and the base URL."
    )
