"""
Get one picture out of the provider: try the strategies of the table in their order, each at most
once, and go on to the next only where the provider has said that it did no work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from imagesession._model.turns import ProviderState
from imagesession.errors import OutcomeUnknownError, RejectedError

from . import images_api, requests
from .context import as_single_prompt
from .conversation_lookup import find_outcome
from .conversations import (
    assign_conversation,
    detach_conversation,
    is_continuation,
    move_to_new_conversation,
)
from .failures import (
    ContextLengthExceededError,
    ConversationLockedError,
    ConversationNotFoundError,
    FeatureUnsupportedError,
    PreviousResponseNotFoundError,
    ProviderFileNotFoundError,
    RequestNotProcessedError,
    is_unexplained,
)
from .outcomes import Outcome
from .quarantine import quarantine_if_unreadable
from .requests import Order
from .sessions import Place
from .steps import Flow, Now, OnDisk, Recall, Wait
from .strategies import MODES, Delivery, Name, Strategy
from .transmit import parse_paid, post, send, stream
from .uploads import held, invalidate_uploads
from .wire import Feature
from .wishes import Terms

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
        order: As it was sent at last. Its turn says how the model knew what came before, and what
            the provider keeps.
        outcome: What came back.
    """

    order: Order
    outcome: Outcome


def plan_delivery(
    order: Order, place: Place | None, config: Terms, deadline: float
) -> Flow[Delivery]:
    """
    Find out how an order can be delivered, from what the library knows of the provider.

    Args:
        order: What is wanted.
        place: Where in a session it grows; None for a one-shot.
        config: How long to go on trying, and what the provider may keep.
        deadline: When all has to be done, by the clock of `Now`.

    Raises:
        TryLaterError: The provider turned the request for a conversation away.
    """
    provider, past = order.turn.provider, place.past if place else ()
    lacking = yield from OnDisk(lambda store: store.unsupported(provider))
    cap = config.remember
    delivery = Delivery(
        order=order,
        past=past,
        config=config,
        deadline=deadline,
        known_lacking=lacking,
        forgotten=_known_forgotten(order, place),
        history=len(past) if cap is None or len(past) <= cap else max(1, cap // 2),
    )
    talks = config.provider_state == "conversation" and order.markup is None
    if talks and delivery.takes("responses", "store", "conversation"):
        order = yield from assign_conversation(order, past, config, deadline)
        delivery = attrs.evolve(delivery, order=order)
    return attrs.evolve(delivery, order=_with_context(delivery, delivery.state))


def _known_forgotten(order: Order, place: Place | None) -> frozenset[Name]:
    """
    Return what the provider did not know any more when a turn grew on the same parent before.
    """
    if place is None or place.head is None:
        return frozenset()
    siblings = place.tree.children(place.head.id)
    rebuilt = any(
        one.context == "rebuilt"
        and (one.provider, one.provider_state) == (order.turn.provider, "responses")
        for one in siblings
    )
    return frozenset({"previous_response"}) if rebuilt else frozenset()


def _with_context(delivery: Delivery, state: ProviderState) -> Order:
    """
    Note in an order how the model comes to know what came before, and what the provider keeps: from
    the start, for whoever recovers it.
    """
    turn = attrs.evolve(
        delivery.order.turn,
        context=delivery.strategy.knowing if delivery.past else "fresh",
        context_turns=_told(delivery),
        provider_state=state,
    )
    return attrs.evolve(delivery.order, turn=turn)


def _told(delivery: Delivery) -> int:
    return delivery.strategy.told(delivery) if delivery.past else 0


def deliver(delivery: Delivery) -> Flow[DeliveryResult]:
    """
    Ask for a picture and wait for it, with what came before as context.

    Raises:
        ImageSessionError: There is no picture, and the error says why.
    """
    unexplained: RejectedError | None = None
    while True:
        strategy = delivery.strategy
        try:
            outcome = yield from _SENDERS.get(strategy.name, _send_response)(delivery, strategy)
        except RequestNotProcessedError as error:
            delivery = yield from _fall_back(delivery, strategy, error)
        except RejectedError as error:
            unexplained = unexplained or error
            delivery = yield from _plainer(delivery, error, unexplained)
        except OutcomeUnknownError as error:
            if error.finished:
                yield from _remember(delivery, MODES[delivery.mode][:1])
            raise
        else:
            yield from _remember(delivery, delivery.found_lacking)
            # Some accounts keep nothing, whatever they are asked.
            state = delivery.state if outcome.stored else "none"
            return DeliveryResult(order=_with_context(delivery, state), outcome=outcome)


def _remember(delivery: Delivery, lacking: frozenset[Feature] | tuple[Feature, ...]) -> Flow[None]:
    """
    Let the library remember what a provider does without, now that a request was accepted.
    """
    provider = delivery.order.turn.provider
    if lacking:
        yield from OnDisk(lambda store: store.mark_unsupported(provider, lacking))
    yield from Recall(lambda store: store.mark_accepted(provider))


# --- sending ----------------------------------------------------------------------------------


def _send_response(delivery: Delivery, strategy: Strategy) -> Flow[Outcome]:
    """
    Ask a model through Responses. An answer that was lost with the response's id is looked for in
    the conversation.
    """
    order, mode = delivery.order, delivery.mode
    turn, config, deadline = order.turn, delivery.config, delivery.deadline
    context = yield from strategy.context(delivery)
    context = attrs.evolve(context, conversation=turn.conversation)
    request = requests.create(order, context, mode, store=delivery.takes("store"))
    try:
        if mode == "plain":
            return (yield from post(turn, request, config, deadline))
        resumable = mode == "background stream"
        return (yield from stream(turn, request, config, deadline, resumable=resumable))
    except OutcomeUnknownError as error:
        if turn.conversation is None or error.response_id is not None:
            raise
        until = min(deadline, (yield from Now()) + config.patience)
        found = yield from find_outcome(turn, delivery.past, until)
        if found.outcome is None:
            raise
        return found.outcome


def _send_to_images_api(delivery: Delivery, _: Strategy) -> Flow[Outcome]:
    """
    Ask the image model itself, which knows nothing: it is told what came before, and shown it.
    """
    order, config, deadline = delivery.order, delivery.config, delivery.deadline
    words, pictures = yield from as_single_prompt(order, delivery.recent)
    request = images_api.draw(order, pictures, words, config.timeout)
    reply = yield from send(order.turn, request, config, deadline)
    outcome = yield from parse_paid(order.turn, reply, images_api.read_images)
    return (yield from quarantine_if_unreadable(order.turn, outcome, reply.body))


_SENDERS: Final = {"images_api": _send_to_images_api}


# --- what leads to the next strategy ------------------------------------------------------------


def _fall_back(
    delivery: Delivery, strategy: Strategy, error: RequestNotProcessedError
) -> Flow[Delivery]:
    """
    Take in why the provider did not process a request.

    Raises:
        RejectedError: There is no other way to ask.
    """
    changed = yield from _FALLBACKS[type(error)](delivery, strategy, error)
    if changed is None:
        raise error.rejection or RejectedError(f"The provider rejects the request: {error}")
    return changed


def _without_feature(
    delivery: Delivery, strategy: Strategy, error: FeatureUnsupportedError
) -> Flow[Delivery | None]:
    """
    Do without a part of the protocol, and without what builds on it.
    """
    feature = error.feature
    if feature not in delivery.used(strategy):
        return None
    order = delivery.order
    if feature in {"files", "store", "responses"}:
        order = attrs.evolve(order, files={})
    if feature in {"conversation", "store", "responses"}:
        order = yield from detach_conversation(order)
    return attrs.evolve(delivery, order=order, found_lacking=delivery.found_lacking | {feature})


def _without_ids(
    delivery: Delivery, strategy: Strategy, _: RequestNotProcessedError
) -> Flow[Delivery | None]:
    """
    Do without ids that the provider does not know any more.
    """
    yield from ()
    if strategy.name not in _BY_ID:
        return None
    return attrs.evolve(delivery, forgotten=delivery.forgotten | {strategy.name})


def _elsewhere(
    delivery: Delivery, _strategy: Strategy, _: RequestNotProcessedError
) -> Flow[Delivery | None]:
    """
    Leave a conversation that is gone or stays busy: for a new one, else for none.
    """
    order, deadline = delivery.order, delivery.deadline
    if order.turn.conversation is None:
        return None
    if is_continuation(order.turn, delivery.past):
        order = yield from move_to_new_conversation(order, delivery.config, deadline)
    else:
        order = yield from detach_conversation(order)
    return attrs.evolve(delivery, order=order)


def _when_unlocked(
    delivery: Delivery, strategy: Strategy, error: RequestNotProcessedError
) -> Flow[Delivery | None]:
    """
    Wait a little for a conversation that is busy.
    """
    if delivery.locked < len(_LOCKED_DELAYS) and is_continuation(
        delivery.order.turn, delivery.past
    ):
        yield from Wait(_LOCKED_DELAYS[delivery.locked])
        return attrs.evolve(delivery, locked=delivery.locked + 1)
    return (yield from _elsewhere(delivery, strategy, error))


def _in_full(
    delivery: Delivery, strategy: Strategy, _: RequestNotProcessedError
) -> Flow[Delivery | None]:
    """
    Send along in full what the provider does not hold any more.
    """
    order, turn = delivery.order, delivery.order.turn
    before = (yield from held(delivery.past, turn)) if strategy.name == "item_ids" else {}
    if not order.files and not before:
        return None
    # Which of them is gone is not said.
    yield from invalidate_uploads([*order.files, *before], turn.provider)
    return attrs.evolve(delivery, order=attrs.evolve(order, files={}))


def _shorter(
    delivery: Delivery, strategy: Strategy, error: RequestNotProcessedError
) -> Flow[Delivery | None]:
    """
    Send history of half as many turns as the model was told of.
    """
    told = _told(delivery)
    if told == 0 or (told == 1 and strategy.name not in _BY_ID):
        return None
    delivery = attrs.evolve(
        delivery,
        forgotten=delivery.forgotten | _BY_ID,
        history=max(1, min(told, len(delivery.past)) // 2),
    )
    if is_continuation(delivery.order.turn, delivery.past):
        return (yield from _elsewhere(delivery, strategy, error))
    return delivery


_FallBack = Callable[[Delivery, Strategy, Any], Flow[Delivery | None]]
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


def _plainer(delivery: Delivery, error: RejectedError, first: RejectedError) -> Flow[Delivery]:
    """
    Do without another part of the protocol, where a refusal does not say what it is about and this
    provider has not accepted any request yet.

    Raises:
        RejectedError: It says so, or there is nothing to do without.
    """
    provider = delivery.order.turn.provider
    known = yield from Recall(lambda store: store.has_accepted(provider))
    used = [one for one in _GUESSES if one in MODES[delivery.mode]]
    images_api = delivery.strategy.name == "images_api"
    if known or images_api or not used or not is_unexplained(error):
        raise first
    return attrs.evolve(delivery, found_lacking=delivery.found_lacking | {used[0]})
