"""
Get one picture out of the provider: try the strategies of the table in their order, each at most
once, and go on to the next only where the provider has said that it did no work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from imagesession._domain.turn import ProviderState
from imagesession.errors import BadRequestError, OutcomeUnknownError

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
from .http import Feature
from .outcomes import ResponseOutcome
from .payloads import PreparedRequest
from .provider_errors import (
    ContextLengthExceededError,
    ConversationLockedError,
    ConversationNotFoundError,
    FeatureUnsupportedError,
    PreviousResponseNotFoundError,
    ProviderFileNotFoundError,
    RequestNotProcessedError,
    is_unexplained,
)
from .quarantine import quarantine_if_unreadable
from .request import StudioConfig
from .sessions import BranchHead
from .strategies import MODES, Delivery, Name, Strategy
from .transmit import parse_paid, post, send, stream
from .uploads import find_uploaded, invalidate_uploads

# Nobody else talks in a conversation that is gone on in, so it is busy with ending the turn before.
_LOCKED_DELAYS = (0.2, 0.5, 1.0)
_BY_ID: Final[frozenset[Name]] = frozenset({"conversation", "item_ids", "previous_response"})
# What is done without, one after the other, where a refusal does not say what it is about.
_GUESSES: Final[tuple[Feature, ...]] = ("background", "stream")


@attrs.frozen(kw_only=True)
class DeliveryResult:
    """
    What came of an order.

    Attributes:
        prepared: As it was sent at last. Its turn says how the model knew what came before, and
            what the provider keeps.
        outcome: What came back.
    """

    prepared: PreparedRequest
    outcome: ResponseOutcome


def plan_delivery(
    prepared: PreparedRequest, branch_head: BranchHead | None, config: StudioConfig, deadline: float
) -> Workflow[Delivery]:
    """
    Find out how an order can be delivered, from what the library knows of the provider.

    Args:
        prepared: What is wanted.
        branch_head: Where in a session it grows; None for a one-shot.
        config: How long to go on trying, and what the provider may keep.
        deadline: When all has to be done, by the clock of `Now`.

    Raises:
        TransientError: The provider turned the request for a conversation away.
    """
    provider, past = prepared.turn.provider, branch_head.past if branch_head else ()
    lacking = yield from StoreCall(lambda store: store.unsupported(provider))
    cap = config.remember
    delivery = Delivery(
        prepared=prepared,
        past=past,
        config=config,
        deadline=deadline,
        known_unsupported=lacking,
        forgotten=_known_expired(prepared, branch_head),
        history=len(past) if cap is None or len(past) <= cap else max(1, cap // 2),
    )
    talks = config.provider_state == "conversation" and prepared.markup is None
    if talks and delivery.takes("responses", "store", "conversation"):
        prepared = yield from assign_conversation(prepared, past, config, deadline)
        delivery = attrs.evolve(delivery, prepared=prepared)
    return attrs.evolve(delivery, prepared=_with_context(delivery, delivery.state))


def _known_expired(prepared: PreparedRequest, branch_head: BranchHead | None) -> frozenset[Name]:
    """
    Return what the provider did not know any more when a turn grew on the same parent before.
    """
    if branch_head is None or branch_head.head is None:
        return frozenset()
    siblings = branch_head.tree.children(branch_head.head.id)
    rebuilt = any(
        sibling.context == "rebuilt"
        and (sibling.provider, sibling.provider_state) == (prepared.turn.provider, "responses")
        for sibling in siblings
    )
    return frozenset({"previous_response"}) if rebuilt else frozenset()


def _with_context(delivery: Delivery, state: ProviderState) -> PreparedRequest:
    """
    Note in an order how the model comes to know what came before, and what the provider keeps: from
    the start, for whoever recovers it.
    """
    turn = attrs.evolve(
        delivery.prepared.turn,
        context=delivery.strategy.knowing if delivery.past else "fresh",
        context_turns=_turns_sent(delivery),
        provider_state=state,
    )
    return attrs.evolve(delivery.prepared, turn=turn)


def _turns_sent(delivery: Delivery) -> int:
    return delivery.strategy.turns_sent(delivery) if delivery.past else 0


def deliver(delivery: Delivery) -> Workflow[DeliveryResult]:
    """
    Ask for a picture and wait for it, with what came before as context.

    Raises:
        ImageSessionError: There is no picture, and the error says why.
    """
    unexplained: BadRequestError | None = None
    while True:
        strategy = delivery.strategy
        try:
            outcome = yield from _SENDERS.get(strategy.name, _send_response)(delivery, strategy)
        except RequestNotProcessedError as error:
            delivery = yield from _fall_back(delivery, strategy, error)
        except BadRequestError as error:
            unexplained = unexplained or error
            delivery = yield from _with_fewer_options(delivery, error, unexplained)
        except OutcomeUnknownError as error:
            if error.finished:
                yield from _remember(delivery, MODES[delivery.mode][:1])
            raise
        else:
            yield from _remember(delivery, delivery.found_unsupported)
            # Some accounts keep nothing, whatever they are asked.
            state = delivery.state if outcome.stored else "none"
            return DeliveryResult(prepared=_with_context(delivery, state), outcome=outcome)


def _remember(
    delivery: Delivery, lacking: frozenset[Feature] | tuple[Feature, ...]
) -> Workflow[None]:
    """
    Let the library remember what a provider does without, now that a request was accepted.
    """
    provider = delivery.prepared.turn.provider
    if lacking:
        yield from StoreCall(lambda store: store.mark_unsupported(provider, lacking))
    yield from MemoryCall(lambda store: store.mark_accepted(provider))


# --- sending ----------------------------------------------------------------------------------


def _send_response(delivery: Delivery, strategy: Strategy) -> Workflow[ResponseOutcome]:
    """
    Ask a model through Responses. An answer that was lost with the response's id is looked for in
    the conversation.
    """
    prepared, mode = delivery.prepared, delivery.mode
    turn, config, deadline = prepared.turn, delivery.config, delivery.deadline
    context = yield from strategy.context(delivery)
    context = attrs.evolve(context, conversation=turn.conversation)
    request = payloads.create_response(prepared, context, mode, store=delivery.takes("store"))
    try:
        if mode == "plain":
            return (yield from post(turn, request, config, deadline))
        resumable = mode == "background stream"
        return (yield from stream(turn, request, config, deadline, resumable=resumable))
    except OutcomeUnknownError as error:
        if turn.conversation is None or error.response_id is not None:
            raise
        until = min(deadline, (yield from MonotonicTime()) + config.retry_timeout)
        found = yield from find_outcome(turn, delivery.past, until)
        if found.outcome is None:
            raise
        return found.outcome


def _send_to_images_api(delivery: Delivery, _: Strategy) -> Workflow[ResponseOutcome]:
    """
    Ask the image model itself, which knows nothing: it is told what came before, and shown it.
    """
    prepared, config, deadline = delivery.prepared, delivery.config, delivery.deadline
    words, pictures = yield from as_single_prompt(prepared, delivery.recent)
    request = images_api.create_image(prepared, pictures, words, config.timeout)
    reply = yield from send(prepared.turn, request, config, deadline)
    outcome = yield from parse_paid(prepared.turn, reply, images_api.parse_images_response)
    return (yield from quarantine_if_unreadable(prepared.turn, outcome, reply.body))


_SENDERS: Final = {"images_api": _send_to_images_api}


# --- what leads to the next strategy ------------------------------------------------------------


def _fall_back(
    delivery: Delivery, strategy: Strategy, error: RequestNotProcessedError
) -> Workflow[Delivery]:
    """
    Take in why the provider did not process a request.

    Raises:
        BadRequestError: There is no other way to ask.
    """
    changed = yield from _FALLBACKS[type(error)](delivery, strategy, error)
    if changed is None:
        raise error.rejection or BadRequestError(f"The provider rejects the request: {error}")
    return changed


def _without_feature(
    delivery: Delivery, strategy: Strategy, error: FeatureUnsupportedError
) -> Workflow[Delivery | None]:
    """
    Do without a part of the protocol, and without what builds on it.
    """
    feature = error.feature
    if feature not in delivery.used(strategy):
        return None
    prepared = delivery.prepared
    if feature in {"files", "store", "responses"}:
        prepared = attrs.evolve(prepared, files={})
    if feature in {"conversation", "store", "responses"}:
        prepared = yield from detach_conversation(prepared)
    return attrs.evolve(
        delivery, prepared=prepared, found_unsupported=delivery.found_unsupported | {feature}
    )


def _without_ids(
    delivery: Delivery, strategy: Strategy, _: RequestNotProcessedError
) -> Workflow[Delivery | None]:
    """
    Do without ids that the provider does not know any more.
    """
    yield from ()
    if strategy.name not in _BY_ID:
        return None
    return attrs.evolve(delivery, forgotten=delivery.forgotten | {strategy.name})


def _elsewhere(
    delivery: Delivery, _strategy: Strategy, _: RequestNotProcessedError
) -> Workflow[Delivery | None]:
    """
    Leave a conversation that is gone or stays busy: for a new one, else for none.
    """
    prepared, deadline = delivery.prepared, delivery.deadline
    if prepared.turn.conversation is None:
        return None
    if is_continuation(prepared.turn, delivery.past):
        prepared = yield from move_to_new_conversation(prepared, delivery.config, deadline)
    else:
        prepared = yield from detach_conversation(prepared)
    return attrs.evolve(delivery, prepared=prepared)


def _when_unlocked(
    delivery: Delivery, strategy: Strategy, error: RequestNotProcessedError
) -> Workflow[Delivery | None]:
    """
    Wait a little for a conversation that is busy.
    """
    if delivery.locked < len(_LOCKED_DELAYS) and is_continuation(
        delivery.prepared.turn, delivery.past
    ):
        yield from Sleep(_LOCKED_DELAYS[delivery.locked])
        return attrs.evolve(delivery, locked=delivery.locked + 1)
    return (yield from _elsewhere(delivery, strategy, error))


def _in_full(
    delivery: Delivery, strategy: Strategy, _: RequestNotProcessedError
) -> Workflow[Delivery | None]:
    """
    Send along in full what the provider does not hold any more.
    """
    prepared, turn = delivery.prepared, delivery.prepared.turn
    before = (yield from find_uploaded(delivery.past, turn)) if strategy.name == "item_ids" else {}
    if not prepared.files and not before:
        return None
    # Which of them is gone is not said.
    yield from invalidate_uploads([*prepared.files, *before], turn.provider)
    return attrs.evolve(delivery, prepared=attrs.evolve(prepared, files={}))


def _shorter(
    delivery: Delivery, strategy: Strategy, error: RequestNotProcessedError
) -> Workflow[Delivery | None]:
    """
    Send history of half as many turns as the model was told of.
    """
    reported = _turns_sent(delivery)
    if reported == 0 or (reported == 1 and strategy.name not in _BY_ID):
        return None
    delivery = attrs.evolve(
        delivery,
        forgotten=delivery.forgotten | _BY_ID,
        history=max(1, min(reported, len(delivery.past)) // 2),
    )
    if is_continuation(delivery.prepared.turn, delivery.past):
        return (yield from _elsewhere(delivery, strategy, error))
    return delivery


_FallBack = Callable[[Delivery, Strategy, Any], Workflow[Delivery | None]]
_FALLBACKS: Final[Mapping[type[RequestNotProcessedError], _FallBack]] = {
    FeatureUnsupportedError: _without_feature,
    PreviousResponseNotFoundError: _without_ids,
    ConversationNotFoundError: _elsewhere,
    ConversationLockedError: _when_unlocked,
    ProviderFileNotFoundError: _in_full,
    ContextLengthExceededError: _shorter,
}
"""
What each reason not to process a request leads to.
"""


def _with_fewer_options(
    delivery: Delivery, error: BadRequestError, first: BadRequestError
) -> Workflow[Delivery]:
    """
    Do without another part of the protocol, where a refusal does not say what it is about and this
    provider has not accepted any request yet.

    Raises:
        BadRequestError: It says so, or there is nothing to do without.
    """
    provider = delivery.prepared.turn.provider
    known = yield from MemoryCall(lambda store: store.has_accepted(provider))
    used = [item for item in _GUESSES if item in MODES[delivery.mode]]
    images_api = delivery.strategy.name == "images_api"
    if known or images_api or not used or not is_unexplained(error):
        raise first
    return attrs.evolve(delivery, found_unsupported=delivery.found_unsupported | {used[0]})
