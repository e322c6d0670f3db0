"""
Talk in a conversation that the provider keeps: a handle that there is before anything is paid for.

Beginning one is free. Its id is written down with the intent, so whatever the provider took on can
be found among its items, even by somebody who never learned the response's own id.

A branch of a session goes on in its conversation as long as the same program says what comes next.
Everybody else begins a new one: so nobody ever finds words in a conversation that do not stand in
their own library.
"""

from __future__ import annotations

import re

import attrs

from imagesession._model.turns import Turn
from imagesession.errors import ReplyError

from .failures import unreachable
from .poll import MIN_REQUEST_TIMEOUT, TRANSIENT
from .replies import accepted, is_success, read_json
from .requests import Order
from .retry import retry
from .steps import Flow, Now, OnDisk, Recall, Send
from .tolerance import as_text
from .wire import NoReplyError, Reply, Request
from .wishes import Terms

_SECONDS = 10.0
_TRIES = 2
_NONE_HERE = frozenset({*range(400, 500), 501})
# An id is the provider's word. One that is none is not taken into paths and bodies.
_ID = re.compile(r"(?=.*[A-Za-z0-9])[!-~]{1,256}")


def assign_conversation(
    order: Order, past: tuple[Turn, ...], config: Terms, deadline: float
) -> Flow[Order]:
    """
    Say in which conversation an order will be asked: the one that it continues, or a new one.

    Args:
        order: What is wanted.
        past: The turns that it continues, the oldest first.
        config: How long to go on trying.
        deadline: When to stop, by the clock of `Now`.

    Raises:
        TryLaterError: The provider turned the request for one away.
    """
    if past and past[-1].provider == order.turn.provider:
        head = past[-1]
        ongoing = yield from Recall(lambda store: store.take_conversation(head))
        if ongoing is not None:
            return _within(order, ongoing)
    return _within(order, (yield from _begin(order.turn, config, deadline)))


def release_conversation(turn: Turn) -> Flow[None]:
    """
    Let the turn that comes after this one go on in its conversation.
    """
    if turn.conversation is not None and turn.session is not None:
        yield from Recall(lambda store: store.leave_conversation(turn))


def return_conversation(turn: Turn, past: tuple[Turn, ...]) -> Flow[None]:
    """
    Let others go on in a conversation in which a turn was to be said and was not.
    """
    if is_continuation(turn, past):
        yield from release_conversation(past[-1])


def is_continuation(turn: Turn, past: tuple[Turn, ...]) -> bool:
    """
    Tell whether a turn is asked in the conversation of the one before.
    """
    before = past[-1].conversation if past else None
    return before is not None and before == turn.conversation


def move_to_new_conversation(order: Order, config: Terms, deadline: float) -> Flow[Order]:
    """
    Move an order to a new conversation, where its own cannot be used. That is written down first.
    """
    return (yield from _record(order, (yield from _begin(order.turn, config, deadline))))


def detach_conversation(order: Order) -> Flow[Order]:
    """
    Ask outside of any conversation. That is written down first.
    """
    if order.turn.conversation is None:
        return order
    return (yield from _record(order, None))


def _record(order: Order, conversation: str | None) -> Flow[Order]:
    yield from OnDisk(lambda store: store.note_conversation(order.turn, conversation))
    return _within(order, conversation)


def _within(order: Order, conversation: str | None) -> Order:
    return attrs.evolve(order, turn=attrs.evolve(order.turn, conversation=conversation))


def _begin(turn: Turn, config: Terms, deadline: float) -> Flow[str | None]:
    """
    Begin a conversation; None where the provider has none, or none just now.

    A picture can be asked for without one; then only a kill in the moment between the provider's
    acceptance and its first event leaves nobody who could look it up.
    """
    if "conversation" in (yield from OnDisk(lambda store: store.unsupported(turn.provider))):
        return None
    # It is free, and no picture: the images of a minute are not its concern.
    config = attrs.evolve(config, interval=0.0)
    for _ in range(_TRIES):
        reply = yield from retry(lambda: _ask_for_one(turn, deadline), turn, config, deadline)
        if reply is None or reply.status in TRANSIENT or reply.status not in _NONE_HERE:
            begun = None if reply is None else _read_id(reply)
            if begun is not None:
                return begun
            continue
        yield from OnDisk(lambda store: store.mark_unsupported(turn.provider, {"conversation"}))
        break
    return None


def _ask_for_one(turn: Turn, deadline: float) -> Flow[Reply | None]:
    """
    Ask for a conversation once; None where the answer was lost.

    Source: https://developers.openai.com/api/reference/resources/conversations/methods/create
    """
    left = deadline - (yield from Now())
    request = Request(
        method="POST",
        path="/conversations",
        body={"metadata": {"imagesession_turn": turn.id}},
        timeout=max(MIN_REQUEST_TIMEOUT, min(_SECONDS, left / (2 * _TRIES))),
    )
    try:
        reply = yield from Send(request)
    except NoReplyError as error:
        if error.sent:
            return None
        raise unreachable(error) from error
    return accepted(reply)


def _read_id(reply: Reply) -> str | None:
    try:
        named = as_text(read_json(reply).get("id")) if is_success(reply) else ""
    except ReplyError:
        return None
    return named if _ID.fullmatch(named) else None
