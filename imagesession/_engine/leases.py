"""
Leases that a store grants, and budget reservations.
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
    A paid request's budget and its expected cost.
    """

    budget: Budget
    estimate: CostEstimate


class Lease(Protocol):
    """
    The right to work on something that is done once: an intent, an upload or a batch. Once it is
    released, another program may take over what is unfinished.
    """

    def release(self) -> None: ...


class SlotLease(Lease, Protocol):
    """
    A call's place in the queue for a concurrency slot, and then the slot. The calls of one process
    queue in memory, and only the first of them tries to get a slot from the disk.
    """

    @property
    def is_held(self) -> bool: ...
    # Whether the call is the first in the queue.
    @property
    def is_first(self) -> bool: ...
    # Whether it is, and a slot may be free.
    @property
    def may_try(self) -> bool: ...
    # To get a slot from the disk; returns whether the call has one now.
    def try_acquire(self) -> bool: ...
    # Done once the call has a slot, or is the first in the queue.
    def signal(self) -> Future[None]: ...
