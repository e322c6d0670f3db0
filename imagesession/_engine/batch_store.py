"""
What flows ask of a library about batches, wherever it keeps them.
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
    A batch that is written down.

    Attributes:
        record: The batch.
        lease: The right to submit it; None for one that was submitted before.
    """

    record: BatchRecord
    lease: Lease | None = None


class BatchStore(Protocol):
    """
    What a library does with batches.
    """

    def begin_batch(
        self, record: BatchRecord, turns: Sequence[Turn], reservation: BudgetReservation | None
    ) -> BatchIntent:
        """
        Write down durably what a batch is about to ask, if there is room and the budget allows
        it; give the batch that was submitted under its name before.
        """
        ...

    def find_identical_batch(self, name: str, digest: str) -> BatchRecord | None:
        """Return the batch that was submitted under a name for the same before, if any."""
        ...

    def update_batch(self, record: BatchRecord, news: BatchUpdate) -> BatchRecord:
        """Write down durably what became known of a batch; return it with that."""
        ...

    def discard_batch(self, record: BatchRecord) -> None:
        """Drop a batch that was not submitted, and the intents of its turns."""
        ...

    def find_batch(self, wanted: str) -> BatchRecord:
        """Return a batch by its id, its name, or the provider's id of it."""
        ...

    def list_batches(self) -> tuple[BatchRecord, ...]:
        """Return all batches, the latest first."""
        ...

    def batch_turns(self, record: BatchRecord) -> tuple[Turn | None, ...]:
        """Return what became of a batch's items; None for what is not settled."""
        ...
