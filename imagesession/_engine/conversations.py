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

from imagesession._domain.turn import Turn
from imagesession.errors import InvalidResponseError

from .coerce import as_text
from .effects import MemoryCall, MonotonicTime, Send, StoreCall, Workflow
from .http import HttpRequest, HttpResponse, TransportError
from .payloads import PreparedRequest
from .poll import MIN_REQUEST_TIMEOUT, TRANSIENT
from .provider_errors import unreachable
from .request import StudioConfig
from .responses import accepted, is_success, parse_json_object
from .retry import retry

_SECONDS = 10.0
_TRIES = 2
_NONE_HERE = frozenset({*range(400, 500), 501})
# An id is the provider's word. One that is none is not taken into paths and bodies.
_ID = re.compile(r"(?=.*[A-Za-z0-9])[!-~]{1,256}")


def assign_conversation(
    prepared: PreparedRequest, past: tuple[Turn, ...], config: StudioConfig, deadline: float
) -> Workflow[PreparedRequest]:
    """
    Say in which conversation an order will be asked: the one that it continues, or a new one.

    Args:
        prepared: What is wanted.
        past: The turns that it continues, the oldest first.
        config: How long to go on trying.
        deadline: When to stop, by the clock of `Now`.

    Raises:
        TransientError: The provider turned the request for one away.
    """
    if past and past[-1].provider == prepared.turn.provider:
        head = past[-1]
        ongoing = yield from MemoryCall(lambda store: store.acquire_conversation(head))
        if ongoing is not None:
            return _within(prepared, ongoing)
    return _within(prepared, (yield from _begin(prepared.turn, config, deadline)))


def release_conversation(turn: Turn) -> Workflow[None]:
    """
    Let the turn that comes after this one go on in its conversation.
    """
    if turn.conversation is not None and turn.session is not None:
        yield from MemoryCall(lambda store: store.release_conversation(turn))


def return_conversation(turn: Turn, past: tuple[Turn, ...]) -> Workflow[None]:
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


def move_to_new_conversation(
    prepared: PreparedRequest, config: StudioConfig, deadline: float
) -> Workflow[PreparedRequest]:
    """
    Move an order to a new conversation, where its own cannot be used. That is written down first.
    """
    return (yield from _record(prepared, (yield from _begin(prepared.turn, config, deadline))))


def detach_conversation(prepared: PreparedRequest) -> Workflow[PreparedRequest]:
    """
    Ask outside of any conversation. That is written down first.
    """
    if prepared.turn.conversation is None:
        return prepared
    return (yield from _record(prepared, None))


def _record(prepared: PreparedRequest, conversation: str | None) -> Workflow[PreparedRequest]:
    yield from StoreCall(lambda store: store.record_conversation(prepared.turn, conversation))
    return _within(prepared, conversation)


def _within(prepared: PreparedRequest, conversation: str | None) -> PreparedRequest:
    return attrs.evolve(prepared, turn=attrs.evolve(prepared.turn, conversation=conversation))


def _begin(turn: Turn, config: StudioConfig, deadline: float) -> Workflow[str | None]:
    """
    Begin a conversation; None where the provider has none, or none just now.

    A picture can be asked for without one; then only a kill in the moment between the provider's
    acceptance and its first event leaves nobody who could look it up.
    """
    if "conversation" in (yield from StoreCall(lambda store: store.unsupported(turn.provider))):
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
        yield from StoreCall(lambda store: store.mark_unsupported(turn.provider, {"conversation"}))
        break
    return None


def _ask_for_one(turn: Turn, deadline: float) -> Workflow[HttpResponse | None]:
    """
    Ask for a conversation once; None where the answer was lost.

    Source: https://developers.openai.com/api/reference/resources/conversations/methods/create
    """
    left = deadline - (yield from MonotonicTime())
    request = HttpRequest(
        method="POST",
        path="/conversations",
        body={"metadata": {"imagesession_turn": turn.id}},
        timeout=max(MIN_REQUEST_TIMEOUT, min(_SECONDS, left / (2 * _TRIES))),
    )
    try:
        reply = yield from Send(request)
    except TransportError as error:
        if error.sent:
            return None
        raise unreachable(error) from error
    return accepted(reply)


def _read_id(reply: HttpResponse) -> str | None:
    try:
        named = as_text(parse_json_object(reply).get("id")) if is_success(reply) else ""
    except InvalidResponseError:
        return None
    return named if _ID.fullmatch(named) else None
