"""
Deliver a prepared request to the provider: try the table's strategies in order, each at most
once. Go on to the next only if the provider has said that it did no work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from imagesession._domain.servers import Feature
from imagesession._domain.turn import ProviderState
from imagesession.errors import BadRequestError, InvalidRequestError, OutcomeUnknownError

from . import images_api, payloads
from .context import as_single_prompt
from .conversation_lookup import find_outcome
from .conversations import (
    assign_conversation,
    detach_conversation,
    is_continuation,
    move_to_new_conversation,
)
from .effects import MemoryCall, MonotonicTime, Sleep, StoreCall, Workflow
from .http import HttpResponse
from .image_urls import fetch_images
from .outcomes import ResponseOutcome
from .payloads import PreparedRequest
from .poll import record_response_id
from .provider_errors import (
    ContextLengthExceededError,
    ConversationLockedError,
    ConversationNotFoundError,
    FeatureUnsupportedError,
    ModelNotFoundError,
    PreviousResponseNotFoundError,
    ProviderFileNotFoundError,
    RequestNotProcessedError,
    is_unexplained,
    says_unsupported,
)
from .quarantine import quarantine_if_unreadable
from .request import StudioConfig
from .sessions import BranchHead
from .strategies import MODES, Delivery, Name, Strategy
from .transmit import parse_paid, poll_accepted, post, send, stream, with_request_id
from .uploads import find_uploaded, invalidate_uploads

# No other caller uses a continued conversation, so it is only finishing the turn before.
_LOCKED_DELAYS = (0.2, 0.5, 1.0)
_BY_ID: Final[frozenset[Name]] = frozenset({"conversation", "item_ids", "previous_response"})
# Features to drop, one after the other, if a rejection does not name its cause.
_DROPPABLE: Final[tuple[Feature, ...]] = ("background", "stream")


@attrs.frozen(kw_only=True)
class DeliveryResult:
    """
    A delivered request and its outcome.

    Attributes:
        prepared: The request as it was finally sent. Its turn records how the model knew the
            earlier turns, and what the provider keeps.
    """

    prepared: PreparedRequest
    outcome: ResponseOutcome


def plan_delivery(
    prepared: PreparedRequest, branch_head: BranchHead | None, config: StudioConfig, deadline: float
) -> Workflow[Delivery]:
    provider, past = prepared.turn.provider, branch_head.past if branch_head else ()
    lacking = yield from StoreCall(lambda store: store.providers.unsupported(provider))
    cap = config.remember
    delivery = Delivery(
        prepared=prepared,
        past=past,
        config=config,
        deadline=deadline,
        known_unsupported=lacking,
        expired=_known_expired(prepared, branch_head),
        history_turns=len(past) if cap is None or len(past) <= cap else max(1, cap // 2),
    )
    within_window = prepared.turn.within != "soonest"
    if within_window and not delivery.supports("responses", *MODES["background"]):
        raise InvalidRequestError(
            "A completion window needs a server with background responses, and a provider_state "
            "other than 'none'. Use generate(), or studio.batches."
        )
    conversational = (
        config.provider_state == "conversation" and delivery.strategy.name != "images_api"
    )
    # A conversation would be locked until the window has passed.
    conversational = conversational and not within_window
    if conversational and delivery.supports("store", "conversation"):
        prepared = yield from assign_conversation(prepared, past, config, deadline)
        delivery = attrs.evolve(delivery, prepared=prepared)
    return attrs.evolve(delivery, prepared=_with_context(delivery, delivery.state))


def _known_expired(prepared: PreparedRequest, branch_head: BranchHead | None) -> frozenset[Name]:
    """
    Return the strategies that failed with an expired id for an earlier turn on the same parent.
    """
    if branch_head is None or branch_head.head is None:
        return frozenset()
    siblings = branch_head.tree.children(branch_head.head.id)
    rebuilt = any(
        sibling.context == "rebuilt"
        and sibling.response_id is not None  # the Images API has none, and proves nothing
        and (sibling.provider, sibling.provider_state) == (prepared.turn.provider, "responses")
        for sibling in siblings
    )
    return frozenset({"previous_response"}) if rebuilt else frozenset()


def _with_context(delivery: Delivery, state: ProviderState) -> PreparedRequest:
    """
    Record in a prepared request's turn how the model knows the earlier turns and what the provider
    keeps. It is recorded before sending, so that recovery can use it.
    """
    turn = attrs.evolve(
        delivery.prepared.turn,
        context=delivery.strategy.context_mode if delivery.past else "fresh",
        context_turns=_turns_sent(delivery),
        provider_state=state,
    )
    return attrs.evolve(delivery.prepared, turn=turn)


def _turns_sent(delivery: Delivery) -> int:
    return delivery.strategy.turns_sent(delivery) if delivery.past else 0


def deliver(delivery: Delivery) -> Workflow[DeliveryResult]:
    unexplained: BadRequestError | None = None
    while True:
        strategy = delivery.strategy
        try:
            if strategy.name == "images_api":
                outcome = yield from _send_to_images_api(delivery)
            else:
                outcome = yield from _send_response(delivery, strategy)
        except RequestNotProcessedError as error:
            delivery = yield from _fall_back(delivery, strategy, error)
        except BadRequestError as error:
            unexplained = unexplained or error
            delivery = yield from _with_fewer_options(delivery, error, unexplained)
        except OutcomeUnknownError as error:
            if error.finished:
                yield from _record_support(delivery, MODES[delivery.mode][:1])
            raise
        else:
            yield from _record_support(delivery, delivery.found_unsupported)
            # Some accounts keep nothing, whatever is requested.
            state = delivery.state if outcome.stored else "none"
            return DeliveryResult(prepared=_with_context(delivery, state), outcome=outcome)


def _record_support(
    delivery: Delivery, lacking: frozenset[Feature] | tuple[Feature, ...]
) -> Workflow[None]:
    """
    Record in the library which features a provider lacks, now that a request was accepted.
    """
    provider = delivery.prepared.turn.provider
    if lacking:
        yield from StoreCall(lambda store: store.providers.mark_unsupported(provider, lacking))
    yield from MemoryCall(lambda memory: memory.mark_accepted(provider))


# --- sending ----------------------------------------------------------------------------------


def _send_response(delivery: Delivery, strategy: Strategy) -> Workflow[ResponseOutcome]:
    """
    Send a request to the Responses API. If the answer was lost together with its id, look it up in
    the conversation.
    """
    prepared, mode = delivery.prepared, delivery.mode
    turn, config, deadline = prepared.turn, delivery.config, delivery.deadline
    context = yield from strategy.context(delivery)
    context = attrs.evolve(context, conversation=turn.conversation)
    request = payloads.create_response(
        prepared,
        context,
        mode,
        config.server,
        store=delivery.supports("store"),
        cache_key=delivery.supports("prompt_cache_key"),
    )
    try:
        if mode in {"plain", "background"}:
            wait = mode == "plain"
            return (yield from post(turn, request, config, deadline, wait=wait))
        resumable = mode == "background stream"
        return (yield from stream(turn, request, config, deadline, resumable=resumable))
    except OutcomeUnknownError as error:
        if turn.conversation is None or error.response_id is not None:
            raise
        until = min(deadline, (yield from MonotonicTime()) + config.retry_timeout)
        result = yield from find_outcome(turn, delivery.past, until)
        if result.outcome is None:
            raise
        return result.outcome


def _send_to_images_api(delivery: Delivery) -> Workflow[ResponseOutcome]:
    """
    Send a request to the Images API, which keeps no context: the earlier turns are sent along.
    """
    prepared, config, deadline = delivery.prepared, delivery.config, delivery.deadline
    prompt, images = yield from as_single_prompt(prepared, delivery.recent)
    request = images_api.create_image(prepared, images, prompt, config.timeout, config.server)
    reply = yield from send(prepared.turn, request, config, deadline)
    reading = _read_images_reply(delivery, reply)
    return (yield from with_request_id(reply, reading))


def _read_images_reply(delivery: Delivery, reply: HttpResponse) -> Workflow[ResponseOutcome]:
    turn = delivery.prepared.turn
    outcome = yield from parse_paid(turn, reply, images_api.parse_images_response)
    if not outcome.finished:  # a gateway's answer is a response, which goes on
        yield from record_response_id(turn, outcome.response_id)
        return (yield from poll_accepted(turn, outcome.response_id, delivery.deadline))
    outcome = yield from fetch_images(turn, outcome, delivery.config.server, delivery.deadline)
    return (yield from quarantine_if_unreadable(turn, outcome, reply.body))


# --- fallbacks ----------------------------------------------------------------------------------


def _fall_back(
    delivery: Delivery, strategy: Strategy, error: RequestNotProcessedError
) -> Workflow[Delivery]:
    fallback = yield from _FALLBACKS[type(error)](delivery, strategy, error)
    if fallback is None:
        raise error.to_error()
    return fallback


def _without_feature(
    delivery: Delivery, strategy: Strategy, error: FeatureUnsupportedError
) -> Workflow[Delivery | None]:
    feature = error.feature
    certain = feature == "image_tool" and feature in delivery.config.server.has
    indispensable = delivery.mode == "background" and feature in {
        "responses",
        *MODES["background"],
    }
    if certain or indispensable or feature not in delivery.used(strategy):
        return None
    prepared = delivery.prepared
    if feature in {"files", "store", "responses", "image_tool"}:
        prepared = attrs.evolve(prepared, files={})
    if feature in {"conversation", "store", "responses", "image_tool"}:
        prepared = yield from detach_conversation(prepared)
    return attrs.evolve(
        delivery, prepared=prepared, found_unsupported=delivery.found_unsupported | {feature}
    )


def _without_mainline(
    delivery: Delivery, strategy: Strategy, error: ModelNotFoundError
) -> Workflow[Delivery | None]:
    """
    Do without a mainline model, if the server does not have the one that this library chose. One
    that the caller named is the caller's to correct.
    """
    if delivery.prepared.turn.options.model != "auto":
        return None
    unsupported = FeatureUnsupportedError("image_tool", str(error))
    return (yield from _without_feature(delivery, strategy, unsupported))


def _without_strategy(
    delivery: Delivery, strategy: Strategy, _: RequestNotProcessedError
) -> Workflow[Delivery | None]:
    yield from ()
    if strategy.name not in _BY_ID:
        return None
    return attrs.evolve(delivery, expired=delivery.expired | {strategy.name})


def _leave_conversation(
    delivery: Delivery, _strategy: Strategy, _: RequestNotProcessedError
) -> Workflow[Delivery | None]:
    prepared, deadline = delivery.prepared, delivery.deadline
    if prepared.turn.conversation is None:
        return None
    if is_continuation(prepared.turn, delivery.past):
        prepared = yield from move_to_new_conversation(prepared, delivery.config, deadline)
    else:
        prepared = yield from detach_conversation(prepared)
    return attrs.evolve(delivery, prepared=prepared)


def _wait_until_unlocked(
    delivery: Delivery, strategy: Strategy, error: RequestNotProcessedError
) -> Workflow[Delivery | None]:
    if delivery.lock_retries < len(_LOCKED_DELAYS) and is_continuation(
        delivery.prepared.turn, delivery.past
    ):
        yield from Sleep(_LOCKED_DELAYS[delivery.lock_retries])
        return attrs.evolve(delivery, lock_retries=delivery.lock_retries + 1)
    return (yield from _leave_conversation(delivery, strategy, error))


def _without_files(
    delivery: Delivery, strategy: Strategy, _: RequestNotProcessedError
) -> Workflow[Delivery | None]:
    prepared, turn = delivery.prepared, delivery.prepared.turn
    before = (yield from find_uploaded(delivery.past, turn)) if strategy.name == "item_ids" else {}
    if not prepared.files and not before:
        return None
    # The provider does not say which of them has expired.
    yield from invalidate_uploads([*prepared.files, *before], turn.provider)
    return attrs.evolve(delivery, prepared=attrs.evolve(prepared, files={}))


def _with_shorter_history(
    delivery: Delivery, strategy: Strategy, error: RequestNotProcessedError
) -> Workflow[Delivery | None]:
    sent = _turns_sent(delivery)
    if sent == 0 or (sent == 1 and strategy.name not in _BY_ID):
        return None
    delivery = attrs.evolve(
        delivery,
        expired=delivery.expired | _BY_ID,
        history_turns=max(1, min(sent, len(delivery.past)) // 2),
    )
    if is_continuation(delivery.prepared.turn, delivery.past):
        return (yield from _leave_conversation(delivery, strategy, error))
    return delivery


_FallBack = Callable[[Delivery, Strategy, Any], Workflow[Delivery | None]]
_FALLBACKS: Final[Mapping[type[RequestNotProcessedError], _FallBack]] = {
    FeatureUnsupportedError: _without_feature,
    ModelNotFoundError: _without_mainline,
    PreviousResponseNotFoundError: _without_strategy,
    ConversationNotFoundError: _leave_conversation,
    ConversationLockedError: _wait_until_unlocked,
    ProviderFileNotFoundError: _without_files,
    ContextLengthExceededError: _with_shorter_history,
}
"""
How to go on after each reason for not processing a request.
"""


def _with_fewer_options(
    delivery: Delivery, error: BadRequestError, first: BadRequestError
) -> Workflow[Delivery]:
    """
    Drop one more feature, if a rejection does not name its cause and this provider has not accepted
    any request yet.
    """
    provider = delivery.prepared.turn.provider
    accepted_before = yield from MemoryCall(lambda memory: memory.has_accepted(provider))
    used = [feature for feature in _DROPPABLE if feature in MODES[delivery.mode]]
    if says_unsupported(error) and "image_tool" not in delivery.config.server.has:
        used.append("image_tool")
    images_api = delivery.strategy.name == "images_api"
    fixed = images_api or delivery.mode == "background"
    if accepted_before or fixed or not used or not is_unexplained(error):
        raise first
    return attrs.evolve(delivery, found_unsupported=delivery.found_unsupported | {used[0]})
