"""
Use conversations that the provider keeps: an id that is known before the paid request is sent.

Creating a conversation is free. Its id is recorded with the intent, so an accepted request can be
found among its items even if the response's own id is not known.

A branch of a session continues its conversation as long as the same program adds the next turn. Any
other program creates a new one, so that a conversation never holds turns that are not in the
program's own library.
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
from .provider_errors import unreachable_error
from .request import StudioConfig
from .responses import is_success, parse_json_object, require_accepted
from .retry import retry

_TIMEOUT = 10.0
_TRIES = 2
_UNSUPPORTED_STATUSES = frozenset({*range(400, 500), 501})
# An id from the provider is checked before it is put into paths and bodies.
_ID = re.compile(r"(?=.*[A-Za-z0-9])[!-~]{1,256}")


def assign_conversation(
    prepared: PreparedRequest, past: tuple[Turn, ...], config: StudioConfig, deadline: float
) -> Workflow[PreparedRequest]:
    if past and past[-1].provider == prepared.turn.provider:
        head = past[-1]
        ongoing = yield from MemoryCall(lambda memory: memory.acquire_conversation(head))
        if ongoing is not None:
            return _with_conversation(prepared, ongoing)
    return _with_conversation(
        prepared, (yield from _create_conversation(prepared.turn, config, deadline))
    )


def release_conversation(turn: Turn) -> Workflow[None]:
    if turn.conversation is not None and turn.session is not None:
        yield from MemoryCall(lambda memory: memory.release_conversation(turn))


def return_conversation(turn: Turn, past: tuple[Turn, ...]) -> Workflow[None]:
    """
    Let another turn continue the conversation of a turn that was not sent.
    """
    if is_continuation(turn, past):
        yield from release_conversation(past[-1])


def is_continuation(turn: Turn, past: tuple[Turn, ...]) -> bool:
    previous = past[-1].conversation if past else None
    return previous is not None and previous == turn.conversation


def move_to_new_conversation(
    prepared: PreparedRequest, config: StudioConfig, deadline: float
) -> Workflow[PreparedRequest]:
    return (
        yield from _record(
            prepared, (yield from _create_conversation(prepared.turn, config, deadline))
        )
    )


def detach_conversation(prepared: PreparedRequest) -> Workflow[PreparedRequest]:
    if prepared.turn.conversation is None:
        return prepared
    return (yield from _record(prepared, None))


def _record(prepared: PreparedRequest, conversation: str | None) -> Workflow[PreparedRequest]:
    yield from StoreCall(
        lambda store: store.intents.record_conversation(prepared.turn, conversation)
    )
    return _with_conversation(prepared, conversation)


def _with_conversation(prepared: PreparedRequest, conversation: str | None) -> PreparedRequest:
    return attrs.evolve(prepared, turn=attrs.evolve(prepared.turn, conversation=conversation))


def _create_conversation(turn: Turn, config: StudioConfig, deadline: float) -> Workflow[str | None]:
    """
    Create a conversation; None if the provider does not support them, or fails to create one.

    A request can be sent without one. Its outcome then cannot be looked up if the program is killed
    between the provider's acceptance and its first event.
    """
    if "conversation" in (
        yield from StoreCall(lambda store: store.providers.unsupported(turn.provider))
    ):
        return None
    # It is free and makes no image, so the rate limit does not apply.
    config = attrs.evolve(config, interval=0.0)
    for _ in range(_TRIES):
        reply = yield from retry(lambda: _create_once(turn, deadline), turn, config, deadline)
        if reply is None or reply.status in TRANSIENT or reply.status not in _UNSUPPORTED_STATUSES:
            conversation_id = None if reply is None else _parse_id(reply)
            if conversation_id is not None:
                return conversation_id
            continue
        yield from StoreCall(
            lambda store: store.providers.mark_unsupported(turn.provider, {"conversation"})
        )
        break
    return None


def _create_once(turn: Turn, deadline: float) -> Workflow[HttpResponse | None]:
    # https://developers.openai.com/api/reference/resources/conversations/methods/create
    left = deadline - (yield from MonotonicTime())
    request = HttpRequest(
        method="POST",
        path="/conversations",
        body={"metadata": {"imagesession_turn": turn.id}},
        timeout=max(MIN_REQUEST_TIMEOUT, min(_TIMEOUT, left / (2 * _TRIES))),
    )
    try:
        reply = yield from Send(request)
    except TransportError as error:
        if error.sent:
            return None
        raise unreachable_error(error) from error
    return require_accepted(reply)


def _parse_id(reply: HttpResponse) -> str | None:
    try:
        conversation_id = as_text(parse_json_object(reply).get("id")) if is_success(reply) else ""
    except InvalidResponseError:
        return None
    return conversation_id if _ID.fullmatch(conversation_id) else None
