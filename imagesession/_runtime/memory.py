"""
What a studio remembers about its provider while it runs.

Another program, a copy of the library or a fork cannot know whether a conversation went on, and so
starts a new one.
"""

from __future__ import annotations

import os
import threading

import attrs

from imagesession._domain.turn import Turn


@attrs.define(eq=False)
class ProcessMemory:
    """
    The providers that accepted a request, and the last turns of conversations.
    """

    _accepted_by: set[str] = attrs.field(factory=set[str], init=False)
    _heads: dict[str, str] = attrs.field(factory=dict[str, str], init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def has_accepted(self, provider: str) -> bool:
        return provider in self._accepted_by

    def mark_accepted(self, provider: str) -> None:
        self._accepted_by.add(provider)

    def acquire_conversation(self, head: Turn) -> str | None:
        """
        Return the conversation of a turn, and the right to continue it. None if the turn is not
        the conversation's last one in this program, or another call has that right.
        """
        conversation = head.conversation
        with self._lock:
            if conversation is None or self._heads.get(conversation) != _head_key(head):
                return None
            del self._heads[conversation]
        return conversation

    def release_conversation(self, turn: Turn) -> None:
        if turn.conversation is not None:
            with self._lock:
                self._heads[turn.conversation] = _head_key(turn)


def _head_key(turn: Turn) -> str:
    return f"{turn.id} {os.getpid()}"
