"""
The table of strategies: how the model comes to know what came before, what each way needs of the
provider, and what leads from one to the next.

A strategy is chosen anew after every request that the provider did not process, from what was found
out by it. So each of them costs one request at most, and the way back up is never tried within a
call. What is found lacking is remembered by the library for a day, once a request without it was
accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

import attrs

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
from .http import Feature
from .payloads import ConversationContext, Mode, PreparedRequest
from .request import StudioConfig
from .uploads import find_uploaded

Name = Literal["images_api", "conversation", "item_ids", "previous_response", "history"]


@attrs.frozen(kw_only=True)
class Delivery:
    """
    A request on its way to the provider: what is wanted, and what was found out so far.

    Attributes:
        prepared: What is wanted.
        past: The turns that it continues, the oldest first.
        config: How long to go on trying, and what the provider may keep.
        deadline: When all has to be done, by the clock of `Now`.
        known_unsupported: What the provider is known not to take.
        found_unsupported: What it did not take in this call.
        forgotten: The strategies that name what the provider does not know any more.
        history: How many turns go along where history is sent.
        locked: How often the conversation was busy.
    """

    prepared: PreparedRequest
    past: tuple[Turn, ...]
    config: StudioConfig
    deadline: float
    known_unsupported: frozenset[Feature] = frozenset()
    found_unsupported: frozenset[Feature] = frozenset()
    forgotten: frozenset[Name] = frozenset()
    history: int
    locked: int = 0

    @property
    def state(self) -> ProviderState:
        """
        What the provider keeps of this turn.
        """
        if not self.takes("store"):
            return "none"
        return "responses" if self.prepared.turn.conversation is None else "conversation"

    def takes(self, *features: Feature) -> bool:
        """
        Tell whether the provider takes parts of the protocol, as far as is known, and may be asked
        to.
        """
        lacking = self.known_unsupported | self.found_unsupported
        if self.config.provider_state == "none":
            lacking |= {"store"}
        return lacking.isdisjoint(features)

    @property
    def mode(self) -> Mode:
        """
        How the response is to come.
        """
        return next(mode for mode, needs in MODES.items() if self.takes(*needs))

    @property
    def strategy(self) -> Strategy:
        """
        The first strategy that can be tried.
        """
        return next(item for item in STRATEGIES if self._can_try(item))

    def _can_try(self, strategy: Strategy) -> bool:
        return (
            self.takes(*strategy.needs)
            and strategy.name not in self.forgotten
            and strategy.applies(self)
        )

    def used(self, strategy: Strategy) -> frozenset[Feature]:
        """
        Return the parts of the protocol that a request uses.
        """
        if strategy.name == "images_api":
            return frozenset()
        named: tuple[Feature, ...] = ("files",) if self.prepared.files else ()
        kept: tuple[Feature, ...] = ("store",) if self.takes("store") else ()
        talks: tuple[Feature, ...] = ("conversation",) if self.prepared.turn.conversation else ()
        return frozenset(("responses", *MODES[self.mode], *strategy.needs, *named, *kept, *talks))

    @property
    def recent(self) -> tuple[Turn, ...]:
        """
        The turns that go along where history is sent.
        """
        return self.past[max(0, len(self.past) - self.history) :]


MODES: Final[Mapping[Mode, tuple[Feature, ...]]] = {
    "background stream": ("background", "stream", "store"),
    "stream": ("stream",),
    "plain": (),
}
"""
How a response comes, the best way first, with what each needs. A response that is only polled is
not among them: what it shows when it is finished may lack the picture's bytes.
"""


@attrs.frozen(kw_only=True)
class Strategy:
    """
    One way in which the model comes to know what came before.

    Attributes:
        name: What it is called.
        needs: What the provider has to take.
        applies: Whether it can tell what came before a turn.
        context: What it sends.
        told: How many earlier turns the model knows by it.
        knowing: How the turn says so, where anything came before.
    """

    name: Name
    needs: tuple[Feature, ...] = ()
    applies: Callable[[Delivery], bool]
    context: Callable[[Delivery], Workflow[ConversationContext]]
    turns_sent: Callable[[Delivery], int]
    knowing: ContextMode


def _within_cap(delivery: Delivery) -> bool:
    """
    Tell whether the provider would tell the model of no more turns than may go along.
    """
    cap = delivery.config.remember
    return cap is None or _continued(delivery) <= cap


def _continued(delivery: Delivery) -> int:
    parent = delivery.past[-1]
    known = parent.context_turns
    return (parent.depth - 1 if known is None else known) + 1


def _continues_response(delivery: Delivery) -> bool:
    known = previous_response_id(delivery.past, delivery.prepared.turn.provider)
    return known is not None and _within_cap(delivery)


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
        applies=lambda item: item.prepared.markup is not None or not item.takes("responses"),
        context=_no_context,
        turns_sent=lambda item: len(item.recent),
        knowing="rebuilt",
    ),
    Strategy(
        name="conversation",
        needs=("store", "conversation"),
        applies=_continues_conversation,
        context=lambda item: by_conversation(item.past, item.prepared),
        turns_sent=_continued,
        knowing="continued",
    ),
    Strategy(
        name="item_ids",
        needs=("store", "conversation"),
        applies=_can_name_items,
        context=_send_item_ids,
        turns_sent=_continued,
        knowing="continued",
    ),
    Strategy(
        name="previous_response",
        needs=("store", "previous_response_id"),
        applies=lambda item: item.prepared.turn.conversation is None and _continues_response(item),
        context=lambda item: by_previous_response(item.past, item.prepared),
        turns_sent=_continued,
        knowing="continued",
    ),
    Strategy(
        name="history",
        applies=lambda _: True,
        context=lambda item: by_full_history(item.recent, item.prepared),
        turns_sent=lambda item: len(item.recent),
        knowing="rebuilt",
    ),
)
"""
All strategies, in the order in which they are tried.
"""
