"""
The table of delivery strategies: how the model knows the earlier turns, and what each strategy
needs of the provider.

After every request that the provider did not process, the strategy is chosen anew from what is now
known. So each strategy costs one request at most, and a call never goes back to an earlier one. The
library remembers a missing feature for a day, once a request without it was accepted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Final, Literal

import attrs

from imagesession._domain.servers import Feature
from imagesession._domain.turn import ContextMode, ProviderState, Turn

from .context import (
    by_conversation,
    by_full_history,
    by_item_ids,
    by_previous_response,
    has_items,
    previous_response_id,
)
from .conversations import is_continuation
from .effects import Workflow
from .payloads import ConversationContext, Mode, PreparedRequest
from .request import StudioConfig
from .uploads import find_uploaded

Name = Literal["images_api", "conversation", "item_ids", "previous_response", "history"]


@attrs.frozen(kw_only=True)
class Delivery:
    """
    A request on its way to the provider, and what is known of the provider so far.

    Attributes:
        past: The turns that it continues, the oldest first.
        found_unsupported: The features that it rejected in this call.
        expired: The strategies whose ids have expired at the provider.
        history_turns: How many turns are sent if history is sent.
    """

    prepared: PreparedRequest
    past: tuple[Turn, ...]
    config: StudioConfig
    deadline: float
    known_unsupported: frozenset[Feature] = frozenset()
    found_unsupported: frozenset[Feature] = frozenset()
    expired: frozenset[Name] = frozenset()
    history_turns: int
    lock_retries: int = 0

    @property
    def state(self) -> ProviderState:
        if not self.supports("store"):
            return "none"
        return "responses" if self.prepared.turn.conversation is None else "conversation"

    def supports(self, *features: Feature) -> bool:
        """
        Return whether the provider supports features, as far as known, and the configuration
        allows them.
        """
        lacking = self.known_unsupported | self.found_unsupported | self.config.server.lacks
        if self.config.provider_state == "none":
            lacking |= {"store"}
        return lacking.isdisjoint(features)

    @property
    def mode(self) -> Mode:
        if self.prepared.turn.within != "soonest":
            return "background"
        waiting: tuple[Mode, ...] = ("background stream", "stream", "plain")
        return next(mode for mode in waiting if self.supports(*MODES[mode]))

    @functools.cached_property
    def strategy(self) -> Strategy:
        return next(
            strategy
            for strategy in STRATEGIES
            if self.supports(*strategy.required)
            and strategy.name not in self.expired
            and strategy.applies(self)
        )

    def used(self, strategy: Strategy) -> frozenset[Feature]:
        if strategy.name == "images_api":
            return frozenset()
        files: tuple[Feature, ...] = ("files",) if self.prepared.files else ()
        store: tuple[Feature, ...] = ("store",) if self.supports("store") else ()
        turn = self.prepared.turn
        conversation: tuple[Feature, ...] = ("conversation",) if turn.conversation else ()
        cache_key: tuple[Feature, ...] = ("prompt_cache_key",) if turn.session else ()
        always: tuple[Feature, ...] = (
            "responses", "image_tool", *MODES[self.mode], *strategy.required,
        )  # fmt: skip
        return frozenset((*always, *files, *store, *conversation, *cache_key))

    @property
    def recent(self) -> tuple[Turn, ...]:
        return self.past[max(0, len(self.past) - self.history_turns) :]


MODES: Final[Mapping[Mode, tuple[Feature, ...]]] = {
    "background stream": ("background", "stream", "store"),
    "stream": ("stream",),
    "plain": (),
    "background": ("background", "store"),
}
"""
The modes of delivering a response, each with the features that it needs. Polling alone is only used
within a completion window, as a finished response may lack the image's bytes.
"""


@attrs.frozen(kw_only=True)
class Strategy:
    """
    One way in which the model knows the earlier turns.

    Attributes:
        applies: Whether it can be used for a delivery.
        context: Builds the context to send.
        turns_sent: How many earlier turns the model knows by it.
    """

    name: Name
    required: tuple[Feature, ...] = ()
    applies: Callable[[Delivery], bool]
    context: Callable[[Delivery], Workflow[ConversationContext]]
    turns_sent: Callable[[Delivery], int]
    context_mode: ContextMode


def _within_cap(delivery: Delivery) -> bool:
    """
    Return whether the provider's own context has no more turns than `remember` allows.
    """
    cap = delivery.config.remember
    return cap is None or _turns_continued(delivery) <= cap


def _turns_continued(delivery: Delivery) -> int:
    parent = delivery.past[-1]
    sent = parent.context_turns
    return (parent.depth - 1 if sent is None else sent) + 1


def _continues_response(delivery: Delivery) -> bool:
    response_id = previous_response_id(delivery.past, delivery.prepared.turn.provider)
    return response_id is not None and _within_cap(delivery)


def _continues_conversation(delivery: Delivery) -> bool:
    return is_continuation(delivery.prepared.turn, delivery.past) and _within_cap(delivery)


def _can_name_items(delivery: Delivery) -> bool:
    turn, past = delivery.prepared.turn, delivery.past
    within = turn.conversation is not None and not is_continuation(turn, past)
    return within and bool(past) and has_items(past[-1], turn.provider) and _within_cap(delivery)


def _send_item_ids(delivery: Delivery) -> Workflow[ConversationContext]:
    files = yield from find_uploaded(delivery.past, delivery.prepared.turn)
    return (yield from by_item_ids(delivery.past, delivery.prepared, files))


def _no_context(_: Delivery) -> Workflow[ConversationContext]:
    yield from ()
    return ConversationContext()


STRATEGIES: Final[tuple[Strategy, ...]] = (
    Strategy(
        name="images_api",
        applies=lambda delivery: (
            delivery.prepared.markup is not None
            or delivery.config.api == "images"
            or not delivery.supports("responses", "image_tool")
        ),
        context=_no_context,
        turns_sent=lambda delivery: len(delivery.recent),
        context_mode="rebuilt",
    ),
    Strategy(
        name="conversation",
        required=("store", "conversation"),
        applies=_continues_conversation,
        context=lambda delivery: by_conversation(delivery.past, delivery.prepared),
        turns_sent=_turns_continued,
        context_mode="continued",
    ),
    Strategy(
        name="item_ids",
        required=("store", "conversation"),
        applies=_can_name_items,
        context=_send_item_ids,
        turns_sent=_turns_continued,
        context_mode="continued",
    ),
    Strategy(
        name="previous_response",
        required=("store", "previous_response_id"),
        applies=lambda delivery: (
            delivery.prepared.turn.conversation is None and _continues_response(delivery)
        ),
        context=lambda delivery: by_previous_response(delivery.past, delivery.prepared),
        turns_sent=_turns_continued,
        context_mode="continued",
    ),
    Strategy(
        name="history",
        applies=lambda _: True,
        context=lambda delivery: by_full_history(delivery.recent, delivery.prepared),
        turns_sent=lambda delivery: len(delivery.recent),
        context_mode="rebuilt",
    ),
)
"""
All strategies, in the order in which they are tried.
"""
