"""
What is known of providers: what they do not take, in which of their conversations this program
said the last word, and, by all processes on a library, how long they want to be left alone and when
the next request may go out.

The latter rests on the clock of the day, which may be set; so it is not believed for longer than it
can be meant. Losing it costs a request that is turned away.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from imagesession._domain.turn import Turn
from imagesession._engine.http import Feature

from . import concurrency_slots
from .atomic_write import translate_os_errors, write_atomic
from .base import StoreBase
from .concurrency_slots import QueuedSlot

_LONGEST = 600.0
_REMEMBERED = 86_400.0


class RateLimits(StoreBase):
    """
    The part of a library that knows its providers' ways.
    """

    def unsupported(self, provider: str) -> frozenset[Feature]:
        """
        Return what a provider was found not to take within a day, by any program.
        """
        now, until = time.time(), self._unsupported_until(provider)
        return frozenset(
            feature
            for feature in get_args(Feature)
            if 0 < until.get(feature, 0.0) - now <= _REMEMBERED
        )

    def mark_unsupported(self, provider: str, features: Iterable[Feature]) -> None:
        """
        Remember for a day, for all programs, what a provider does not take. Losing that costs a
        request that is turned away.
        """
        until = self._unsupported_until(provider)
        until.update(dict.fromkeys(features, time.time() + _REMEMBERED))
        with contextlib.suppress(OSError):
            file = self._pace_file(provider, "unsupported")
            write_atomic(file, json.dumps(until).encode("ascii"), self.layout.tmp)

    def _unsupported_until(self, provider: str) -> dict[str, float]:
        try:
            known = json.loads(self._pace_file(provider, "unsupported").read_bytes())
            return {str(feature): float(until) for feature, until in known.items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
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
        Give the right to go on in the conversation in which a turn was the last word; None if
        this program did not say it, or somebody has that right already.

        It is known in memory alone. Another program, or a copy of the library, cannot know
        whether something was said since, and so begins a conversation of its own. So does a
        process that was forked off.
        """
        conversation = head.conversation
        with self._lock:
            if conversation is None or self._last_words.get(conversation) != _by_me(head):
                return None
            del self._last_words[conversation]
        return conversation

    def release_conversation(self, turn: Turn) -> None:
        """
        Remember that a turn was the last word in its conversation.
        """
        if turn.conversation is not None:
            with self._lock:
                self._last_words[turn.conversation] = _by_me(turn)

    def cooldown_remaining(self, provider: str) -> float:
        """
        Return for how many seconds the provider wants to be left alone still.
        """
        return self._seconds_to(self._pace_file(provider, "wait"))

    def start_cooldown(self, provider: str, seconds: float) -> None:
        """
        Remember that the provider wants to be left alone.
        """
        file = self._pace_file(provider, "wait")
        if seconds > self._seconds_to(file):
            with contextlib.suppress(OSError):
                self._set(file, time.time() + seconds)

    def reserve_rate_slot(self, provider: str, interval: float) -> float:
        """
        Take the next time at which a request may go out, evenly spaced among all processes.

        Args:
            provider: Who is asked.
            interval: Seconds between requests.

        Returns:
            Seconds to wait.
        """
        file = self._pace_file(provider, "next")
        with translate_os_errors(file), self._index.locked():
            wait = self._seconds_to(file)
            self._set(file, time.time() + wait + interval)
        return wait

    def queue_for_slot(self, provider: str, count: int) -> QueuedSlot:
        """
        Queue for one of so many slots among all processes' requests under way.
        """
        return concurrency_slots.queue(
            self._pace_file(provider, "slots").with_suffix(""), count
        ).join()

    def _pace_file(self, provider: str, what: str) -> Path:
        whose = hashlib.sha256(provider.encode("utf-8", "replace")).hexdigest()[:16]
        return self.layout.limits / f"{whose}.{what}.json"

    def _seconds_to(self, file: Path) -> float:
        try:
            until = float(json.loads(file.read_bytes())["until"])
        except (OSError, ValueError, LookupError, TypeError):
            return 0.0
        left = until - time.time()
        # A clock that was set back would make everybody wait; nobody is asked to wait that long.
        return left if 0 < left <= _LONGEST else 0.0

    def _set(self, file: Path, until: float) -> None:
        write_atomic(file, json.dumps({"until": until}).encode("ascii"), self.layout.tmp)


def _by_me(turn: Turn) -> str:
    return f"{turn.id} {os.getpid()}"
