"""
What a library grants: the right to be at something, and what it may cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from concurrent.futures import Future

    from imagesession._domain.budget import Budget
    from imagesession._domain.estimate import CostEstimate


@attrs.frozen(kw_only=True)
class BudgetReservation:
    """
    What a paid request is allowed to cost.

    Attributes:
        budget: The limits.
        estimate: What it is expected to cost.
    """

    budget: Budget
    estimate: CostEstimate


class Lease(Protocol):
    """
    The right to be at something that is to be done once: an intent, or an upload.
    """

    def release(self) -> None:
        """Let go of it; if it is not done, somebody else may take it over."""
        ...


class SlotLease(Lease, Protocol):
    """
    A call's place in the queue for a slot, and then the slot. The calls of one process queue in
    memory, and only the first of them asks the disk.
    """

    @property
    def is_held(self) -> bool:
        """Tell whether the call has a slot."""
        ...

    @property
    def is_first(self) -> bool:
        """Tell whether the call is the first in the queue, which is the one that asks the disk."""
        ...

    @property
    def may_try(self) -> bool:
        """Tell whether it is this call that asks the disk, and the disk may have a slot."""
        ...

    def try_acquire(self) -> bool:
        """Ask the disk for a slot; tell whether the call has one now."""
        ...

    def signal(self) -> Future[None]:
        """Return what is done once the call is handed a slot, or is the first in the queue."""
        ...
