"""
The part of a store's interface that deletes, restores and erases.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from typing import Protocol

from imagesession._domain.removal import ProviderCopy, Removal, Targets, Verb


class TargetStore(Protocol):
    """
    What is to be removed from a library's store.
    """

    def find(
        self,
        verb: Verb,
        images: Iterable[str] = (),
        sessions: Iterable[str] = (),
        batches: Iterable[str] = (),
    ) -> Targets:
        """Find what is to be removed."""
        ...

    def in_bin(self, before: dt.datetime | None) -> Targets:
        """Return what was put into the bin, if given, before a time."""
        ...

    def of_owner(self, owner: str) -> Targets:
        """Return all that belongs to an owner and what is left of it, whatever its state."""
        ...

    def older_than(self, date: dt.datetime) -> Targets:
        """Return what is older than a time and has no star."""
        ...


class RemovalStore(Protocol):
    """
    The removals of a library's store.
    """

    def begin(self, verb: Verb, targets: Targets, *, forgets_owner: bool = False) -> Removal:
        """Record a removal durably and carry it out in the library."""
        ...

    def finish_all(self) -> tuple[Removal, ...]:
        """Finish the removals of stopped programs; return those with copies that remain."""
        ...

    def record_erased(self, removal: Removal, copies: Collection[ProviderCopy]) -> Removal:
        """Record that copies were erased at the provider."""
        ...

    def drop_queues(self, owner: str) -> None:
        """Remove the queued requests of an owner."""
        ...
