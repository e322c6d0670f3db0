"""
The batch methods of a library's store, as workflows use them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from imagesession._domain.batch import BatchRecord, BatchUpdate
    from imagesession._domain.turn import Turn

    from .leases import BudgetReservation, Lease


@attrs.frozen(kw_only=True)
class BatchIntent:
    """
    A recorded batch.

    Attributes:
        lease: The right to submit it; None if it was submitted before.
    """

    record: BatchRecord
    lease: Lease | None = None


class BatchStore(Protocol):
    """
    The batch methods of a library's store.
    """

    def begin(
        self, record: BatchRecord, turns: Sequence[Turn], reservation: BudgetReservation | None
    ) -> BatchIntent:
        """
        Record a batch and its intents durably, if there is room on the disk and the budget allows
        it; or return the batch that was submitted with its name before.
        """
        ...

    def find_identical(self, name: str, digest: str) -> BatchRecord | None:
        """Return the batch that was submitted before with this name and digest, if any."""
        ...

    def update(self, record: BatchRecord, news: BatchUpdate) -> BatchRecord:
        """Record changes of a batch durably; return the updated batch."""
        ...

    def restore(self, record: BatchRecord) -> BatchRecord | None:
        """Record a batch whose record is gone; None if it is there, perhaps in the bin."""
        ...

    def discard(self, record: BatchRecord) -> None:
        """Drop a batch that was not submitted, and the intents of its turns."""
        ...

    def find(self, wanted: str) -> BatchRecord:
        """Return a batch by its id, its name, or the provider's id for it."""
        ...

    def list(self, *, deleted: bool = False) -> tuple[BatchRecord, ...]:
        """Return all batches, the latest first; with `deleted`, those in the bin."""
        ...

    def turns(self, record: BatchRecord) -> tuple[Turn | None, ...]:
        """Return the settled turns of a batch's items, in order; None for a pending item."""
        ...
