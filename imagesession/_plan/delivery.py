"""
Get one picture out of the provider: choose how the model comes to know what came before, ask (see
`sending`), and ask in another way only where the provider has said that it did no work: when it
forgot the conversation or a file, or does not take what was asked in that form.
"""

from __future__ import annotations

import contextlib

import attrs

from imagesession._model.turns import Knowing, Turn
from imagesession.errors import LibraryError, OutcomeUnknownError, RejectedError

from . import images_api, requests
from .context import continued, ongoing, rebuilt, recalled, remembered, retold
from .conversing import continues, do_without, move, search, stay, step_outside
from .failures import (
    BackgroundRefusedError,
    ContextLostError,
    ConversationBusyError,
    ConversationLostError,
    ConversationRefusedError,
    FileLostError,
    NoResponsesError,
    NotDoneError,
    lacks_responses,
)
from .looking import kept
from .replies import Outcome, read_words
from .requests import Context, Order
from .sending import listen, post, read_paid, send
from .steps import Flow, Now, Recall, Wait
from .uploads import forget, held
from .wire import Request
from .wishes import Terms

# Nobody else talks in a conversation that is gone on in, so it is busy with ending the turn before.
_PAUSES = (0.2, 0.5, 1.0)


@attrs.frozen(kw_only=True)
class Delivered:
    """
    What came of an order.

    Attributes:
        order: As it was asked at last.
        outcome: What came back.
        knowing: How the model knew what came before.
    """

    order: Order
    outcome: Outcome
    knowing: Knowing


def deliver(order: Order, past: tuple[Turn, ...], terms: Terms, deadline: float) -> Flow[Delivered]:
    """
    Ask for a picture and wait for it, with what came before as context.

    Args:
        order: What is wanted.
        past: The turns that it continues, the oldest first.
        terms: How long to go on trying and looking.
        deadline: When to stop, by the clock of `Now`.

    Raises:
        ImageSessionError: The provider did not answer for the request, and the error says why.
    """
    try:
        return (yield from _by_id_or_in_full(order, past, terms, deadline))
    except NotDoneError as error:
        raise RejectedError(f"The provider rejects the request: {error}") from error


def _by_id_or_in_full(
    order: Order, past: tuple[Turn, ...], terms: Terms, deadline: float
) -> Flow[Delivered]:
    """
    Name pictures by the ids of files; show them in full where the provider lost one.
    """
    try:
        return (yield from _in_context(order, past, terms, deadline))
    except FileLostError:
        yield from forget(order.files, order.turn.provider)
    order = yield from stay(attrs.evolve(order, files={}))
    return (yield from _in_context(order, past, terms, deadline))


def _in_context(
    order: Order, past: tuple[Turn, ...], terms: Terms, deadline: float
) -> Flow[Delivered]:
    """
    Ask in the cheapest way in which the model knows what came before.
    """
    if (yield from goes_directly(order)):
        return (yield from _directly(order, past, terms, deadline))
    try:
        return (yield from _by_responses(order, past, terms, deadline))
    except NoResponsesError:
        provider = order.turn.provider
        yield from Recall(lambda store: store.note_lack(provider, "responses"))
        # There, no conversation tells what became of it. A disk that is full just now does not end
        # the call: a picture that it does not take is put elsewhere.
        with contextlib.suppress(LibraryError):
            order = yield from step_outside(order)
        return (yield from _directly(order, past, terms, deadline))


def goes_directly(order: Order) -> Flow[bool]:
    """
    Tell whether an order goes to the Images API: for what only that takes, and where there is
    nothing else.
    """
    if order.markup is not None:
        return True
    return (yield from Recall(lambda store: store.lacks(order.turn.provider, "responses")))


def _by_responses(
    order: Order, past: tuple[Turn, ...], terms: Terms, deadline: float
) -> Flow[Delivered]:
    """
    Ask in a conversation, where the provider takes them; else by the id of the reply before.
    """
    if order.turn.conversation is not None:
        try:
            return (yield from _in_conversation(order, past, terms, deadline))
        except ConversationRefusedError:
            order = yield from do_without(order)
        except (ConversationBusyError, ConversationLostError):
            order = yield from step_outside(order)
    known = remembered(past, order.turn.provider)
    if known is not None:
        context = yield from continued(known, past, order)
        try:
            return (yield from _ask(order, context, past, terms, deadline))
        except ContextLostError:
            pass
    return (yield from _told_again(order, past, terms, deadline))


def _in_conversation(
    order: Order, past: tuple[Turn, ...], terms: Terms, deadline: float
) -> Flow[Delivered]:
    """
    Go on in a conversation; begin a new one where that is gone, or stays busy.

    Raises:
        ConversationLostError: The new one is gone, too.
        ConversationBusyError: The new one is busy, too.
        ConversationRefusedError: The provider does not answer in conversations.
    """
    if continues(order.turn, past):
        context = yield from ongoing(past, order)
        for pause in _PAUSES:
            try:
                return (yield from _ask(order, context, past, terms, deadline))
            except ConversationBusyError:
                yield from Wait(pause)
            except (ConversationLostError, ContextLostError):
                break
        order = yield from move(order, terms, deadline)
    return (yield from _in_new_conversation(order, past, terms, deadline))


def _in_new_conversation(
    order: Order, past: tuple[Turn, ...], terms: Terms, deadline: float
) -> Flow[Delivered]:
    """
    Name by their ids what was said and shown before; where some are lost, tell it again.
    """
    files = yield from held(past, order.turn)
    context = yield from recalled(past, order, files)
    if context is not None:
        try:
            return (yield from _ask(order, context, past, terms, deadline))
        except ContextLostError:
            pass
        except FileLostError:
            if not files:
                raise
            # One of these, or of what goes along now; the latter is told again in full later.
            yield from forget(files, order.turn.provider)
            return (yield from _in_new_conversation(order, past, terms, deadline))
    return (yield from _told_again(order, past, terms, deadline))


def _told_again(
    order: Order, past: tuple[Turn, ...], terms: Terms, deadline: float
) -> Flow[Delivered]:
    """
    Ask with all that was said before, told again.
    """
    context = yield from rebuilt(past, order)
    try:
        return (yield from _ask(order, context, past, terms, deadline))
    except ContextLostError as error:
        raise RejectedError(f"The provider rejects the request: {error}") from error


def _directly(
    order: Order, past: tuple[Turn, ...], terms: Terms, deadline: float
) -> Flow[Delivered]:
    """
    Ask the image model itself, which knows nothing: it is told what came before, and shown it.
    """
    words, pictures = yield from retold(order, past)
    request = images_api.draw(order, pictures, words, terms.timeout)
    reply = yield from send(order.turn, request, terms, deadline)
    outcome = yield from read_paid(order.turn, reply, images_api.read_images)
    whole = yield from kept(order.turn, outcome, reply.body)
    return Delivered(order=order, outcome=whole, knowing="rebuilt" if past else "fresh")


def _ask(
    order: Order, context: Context, past: tuple[Turn, ...], terms: Terms, deadline: float
) -> Flow[Delivered]:
    """
    Ask with a context. An answer that was lost with the reply's id is looked for in the
    conversation.
    """
    try:
        outcome = yield from _ask_once(order, context, terms, deadline)
    except OutcomeUnknownError as error:
        if order.turn.conversation is None or error.response_id is not None:
            raise
        until = min(deadline, (yield from Now()) + terms.patience)
        sighting = yield from search(order.turn, past, until)
        if sighting.outcome is None:
            raise
        outcome = sighting.outcome
    knowing: Knowing = "continued" if context.knows else "rebuilt" if past else "fresh"
    return Delivered(order=order, outcome=outcome, knowing=knowing)


def _ask_once(order: Order, context: Context, terms: Terms, deadline: float) -> Flow[Outcome]:
    """
    Ask in the background, which survives a lost connection; by a plain stream where refused.
    """
    context = attrs.evolve(context, conversation=order.turn.conversation)
    try:
        if order.partial_images:
            request = requests.create(order, context, "background stream")
            return (yield from listen(order.turn, request, terms, deadline, resumable=True))
        request = requests.create(order, context, "background")
        return (yield from post(order.turn, request, terms, deadline))
    except BackgroundRefusedError:
        pass
    try:
        request = requests.create(order, context, "stream")
        return (yield from listen(order.turn, request, terms, deadline, resumable=False))
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
    reply = yield from send(order.turn, request, terms, deadline)
    if lacks_responses(reply):
        raise RejectedError(
            "This server does not speak Responses, without which no picture can be looked at. "
            "Say what to change yourself, with edit()."
        )
    try:
        return (yield from read_paid(order.turn, reply, read_words))
    except FileLostError:
        raise
    except NotDoneError as error:
        raise RejectedError(f"The provider rejects the request: {error}") from error
