"""
The part of a store's interface that knows requests until they are settled, and settles them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

from imagesession._domain.reports import PendingRequest
from imagesession._domain.turn import ImageRecord, Turn

from .http import ReceivedImage

if TYPE_CHECKING:
    from .leases import BudgetReservation, Lease


class IntentStore(Protocol):
    """
    The unsettled requests of a library's store.
    """

    def write(self, turn: Turn, reservation: BudgetReservation | None = None) -> Turn | Lease:
        """
        Write an intent durably, if there is room on the disk and the budget allows it; return its
        lease, or the turn that was made with the same idempotency key.
        """
        ...

    def pending(self) -> tuple[PendingRequest, ...]:
        """Return the intents that are not settled, the oldest first."""
        ...

    def knows(self, turn_id: str) -> bool:
        """Tell whether there is an intent or a record of a turn."""
        ...

    def is_new(self) -> bool:
        """Tell whether the orphaned intents were not asked for yet."""
        ...

    def orphans(self) -> tuple[PendingRequest, ...]:
        """Return the orphaned intents, on the first call only."""
        ...

    def acquire(self, turn: Turn) -> Lease | None:
        """Take over an orphaned intent; None if it is held by a program, or settled."""
        ...

    def absent_since(self, turn: Turn, date: dt.datetime) -> dt.datetime:
        """Return when the provider first showed nothing of a request; by default, remember now."""
        ...

    def mark_unaccepted(self, turn: Turn) -> None:
        """Remember for a day that a turn was settled as not accepted."""
        ...

    def unaccepted(self) -> tuple[Turn, ...]:
        """Return the turns that were settled as not accepted within a day."""
        ...

    def reopen(self, turn: Turn) -> Lease | None:
        """Make a failed turn pending again; None if another program is at it."""
        ...

    def completed_under(self, idempotency_key: str) -> Turn | None:
        """Return the turn that was completed with an idempotency key."""
        ...

    def record_response_id(self, turn: Turn, response_id: str) -> None:
        """Record the provider's id for a request durably."""
        ...

    def unsettled(self, turn_ids: Collection[str]) -> tuple[Turn, ...]:
        """Return those of some standalone turns that are in the journal and not settled."""
        ...

    def discard(self, turn: Turn) -> None:
        """Drop the intent of a request that the provider did not accept."""
        ...

    def record_conversation(self, turn: Turn, conversation: str | None) -> None:
        """Record durably that a turn is sent in another conversation than was planned."""
        ...


class TurnStore(Protocol):
    """
    The settled requests of a library's store.
    """

    def commit(
        self, turn: Turn, pictures: tuple[ReceivedImage, ...], copies: tuple[ImageRecord, ...] = ()
    ) -> Turn:
        """
        Write images and turn durably, in this order, and return the turn with its images;
        copies are images in the library that the turn has too.
        """
        ...

    def stage(self, turn: Turn, image: ReceivedImage) -> None:
        """
        Write a finished image durably before its turn is settled, and record its place in the
        journal, for `commit`.
        """
        ...

    def quarantine(self, turn_id: str, body: bytes) -> str:
        """Keep a paid reply that could not be read; return its file's path."""
        ...
