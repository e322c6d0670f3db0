"""
State of providers: unsupported features, conversations that this program may continue, and, shared
by all processes on a library, cooldowns, rate slots and concurrency slots.

Cooldowns and rate slots depend on the system clock, which may be set; so waits of more than 600
seconds are ignored. Losing this state costs at most a rejected request.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterable
from typing import get_args

from imagesession._domain.servers import Feature
from imagesession._domain.turn import Turn
from imagesession.errors import StorageError

from . import slots
from .ports import Key, Ports
from .records import StorePart
from .slots import QueuedSlot

_MAX_COOLDOWN = 600.0
_UNSUPPORTED_SECONDS = 86_400.0


class ProviderStore(StorePart):
    """
    The part of a library that keeps the state of providers.
    """

    def __init__(self, ports: Ports) -> None:
        super().__init__(ports)
        self._accepted_by: set[str] = set()
        self._conversation_heads: dict[str, str] = {}
        self._heads_lock = threading.Lock()

    def unsupported(self, provider: str) -> frozenset[Feature]:
        """
        Return the features that any program found a provider to reject within the last 24 hours.
        """
        now, until = self.facts.now().timestamp(), self._unsupported_until(provider)
        return frozenset(
            feature
            for feature in get_args(Feature)
            if 0 < until.get(feature, 0.0) - now <= _UNSUPPORTED_SECONDS
        )

    def mark_unsupported(self, provider: str, features: Iterable[Feature]) -> None:
        """
        Remember for 24 hours, for all programs, that a provider rejects some features. If this is
        lost, it costs a rejected request.
        """
        until = self._unsupported_until(provider)
        end = self.facts.now().timestamp() + _UNSUPPORTED_SECONDS
        until.update(dict.fromkeys(features, end))
        with contextlib.suppress(StorageError):
            self.facts.replace(_unsupported(provider), json.dumps(until).encode("ascii"))

    def _unsupported_until(self, provider: str) -> dict[str, float]:
        try:
            facts = json.loads(self.facts.get(_unsupported(provider)) or b"{}")
            return {str(feature): float(until) for feature, until in facts.items()}
        except (StorageError, ValueError, LookupError, TypeError, AttributeError):
            return {}

    def has_accepted(self, provider: str) -> bool:
        """
        Tell whether a provider has accepted a request of this program.
        """
        return provider in self._accepted_by

    def mark_accepted(self, provider: str) -> None:
        """
        Remember, as long as this program runs, that a provider has accepted a request.
        """
        self._accepted_by.add(provider)

    def acquire_conversation(self, head: Turn) -> str | None:
        """
        Return the conversation of a turn, and the right to continue it. None if the turn is not
        the conversation's last one in this program, or another call has that right.

        This is kept in memory only. Another program, a copy of the library or a fork cannot know
        whether the conversation went on, and so starts a new one.
        """
        conversation = head.conversation
        with self._heads_lock:
            if conversation is None or self._conversation_heads.get(conversation) != _head_key(
                head
            ):
                return None
            del self._conversation_heads[conversation]
        return conversation

    def release_conversation(self, turn: Turn) -> None:
        """
        Remember that a turn is the last one of its conversation.
        """
        if turn.conversation is not None:
            with self._heads_lock:
                self._conversation_heads[turn.conversation] = _head_key(turn)

    def cooldown_remaining(self, provider: str) -> float:
        """
        Return the remaining seconds of the provider's cooldown.
        """
        return self.rights.next_time(f"cooldown {provider}")

    def start_cooldown(self, provider: str, seconds: float) -> None:
        """
        Start or extend the provider's cooldown, up to ten minutes: a provider that asks for more
        is tried again then.
        """
        self.rights.postpone(f"cooldown {provider}", min(seconds, _MAX_COOLDOWN))

    def reserve_rate_slot(self, provider: str, interval: float, max_wait: float) -> float:
        """
        Reserve the next time at which a request may be sent, evenly spaced among all processes.

        Args:
            provider: The provider's name.
            interval: Seconds between requests.
            max_wait: Seconds that the caller can wait; a later time is not reserved.

        Returns:
            Seconds to wait.
        """
        return self.rights.next_time(f"rate {provider}", interval, max_wait)

    def queue_for_slot(self, provider: str, count: int) -> QueuedSlot:
        """
        Queue for one of `count` concurrency slots, shared by all processes.
        """
        return slots.queue(self.ports.address, f"slot {provider}", count).join(self.rights)


def _unsupported(provider: str) -> Key:
    digest = hashlib.sha256(provider.encode("utf-8", "replace")).hexdigest()[:16]
    return Key("provider", f"{digest}.unsupported")


def _head_key(turn: Turn) -> str:
    return f"{turn.id} {os.getpid()}"
