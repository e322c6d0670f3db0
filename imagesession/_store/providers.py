"""
State of providers that all programs on a library share: unsupported features, cooldowns, rate slots
and concurrency slots. Losing it costs at most a rejected request.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from typing import get_args

from imagesession._domain.servers import Feature
from imagesession.errors import StorageError

from . import slots
from .ports import Key
from .slots import QueuedSlot
from .strict_reader import parse_object
from .view import StorePart

_MAX_COOLDOWN = 600.0
_UNSUPPORTED_SECONDS = 86_400.0


class ProviderStore(StorePart):
    def unsupported(self, provider: str) -> frozenset[Feature]:
        now, until = self.facts.now().timestamp(), self._unsupported_until(provider)
        return frozenset(
            feature
            for feature in get_args(Feature)
            if 0 < until.get(feature, 0.0) - now <= _UNSUPPORTED_SECONDS
        )

    def mark_unsupported(self, provider: str, features: Iterable[Feature]) -> None:
        until = self._unsupported_until(provider)
        end = self.facts.now().timestamp() + _UNSUPPORTED_SECONDS
        until.update(dict.fromkeys(features, end))
        with contextlib.suppress(StorageError):
            self.facts.replace(_unsupported(provider), json.dumps(until).encode("ascii"))

    def _unsupported_until(self, provider: str) -> dict[str, float]:
        try:
            facts = parse_object(self.facts.get(_unsupported(provider)) or b"{}")
            return {str(feature): float(until) for feature, until in facts.items()}
        except (StorageError, ValueError, LookupError, TypeError, AttributeError):
            return {}

    def cooldown_remaining(self, provider: str) -> float:
        return self.rights.next_time(f"cooldown {provider}")

    def start_cooldown(self, provider: str, seconds: float) -> None:
        """
        Start or extend the provider's cooldown, up to ten minutes: a provider that asks for more
        is tried again then.
        """
        self.rights.postpone(f"cooldown {provider}", min(seconds, _MAX_COOLDOWN))

    def reserve_rate_slot(self, provider: str, interval: float, max_wait: float) -> float:
        """
        Reserve the next time at which a request may be sent, evenly spaced among all processes;
        return the seconds until then. If they are more than `max_wait`, it is not reserved.
        """
        return self.rights.next_time(f"rate {provider}", interval, max_wait)

    def queue_for_slot(self, provider: str, count: int) -> QueuedSlot:
        return slots.queue(self.ports.address, f"slot {provider}", count).join(self.rights)


def _unsupported(provider: str) -> Key:
    digest = hashlib.sha256(provider.encode("utf-8", "replace")).hexdigest()[:16]
    return Key("provider", f"{digest}.unsupported")
