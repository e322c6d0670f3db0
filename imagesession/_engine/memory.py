"""
What a program remembers about its provider while it runs, and stores nowhere.
"""

from __future__ import annotations

from typing import Protocol

from imagesession._domain.turn import Turn


class Memory(Protocol):
    """
    A studio's memory.
    """

    # Whether a provider has accepted a request of this program.
    def has_accepted(self, provider: str) -> bool: ...
    def mark_accepted(self, provider: str) -> None: ...
    # The conversation in which this turn is the last; None if another program added it, or another
    # call has claimed it.
    def acquire_conversation(self, head: Turn) -> str | None: ...
    # The turn is the last in its conversation, which may be claimed again.
    def release_conversation(self, turn: Turn) -> None: ...
