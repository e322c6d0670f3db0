"""
The part of a store's interface that programs share about providers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import attrs

from imagesession._domain.servers import Feature

if TYPE_CHECKING:
    from .leases import Lease, SlotLease


@attrs.frozen(kw_only=True)
class Upload:
    """
    An image that was uploaded to a provider.
    """

    file_id: str
    expires: dt.datetime


class UploadStore(Protocol):
    """
    The uploaded images that a library's store remembers.
    """

    def find(self, sha256: str, provider: str, at: dt.datetime) -> Upload | None:
        """Return an image's unexpired upload; None if it has to be uploaded."""
        ...

    def begin(self, sha256: str, provider: str) -> Lease | None:
        """Claim the upload of an image; None while another call does it, in any program."""
        ...

    def record(self, sha256: str, provider: str, upload: Upload) -> None:
        """Record an image's upload."""
        ...

    def invalidate(self, sha256: str, provider: str) -> None:
        """Forget an image's upload that the provider does not know any more."""
        ...


class ProviderStore(Protocol):
    """
    What a library's store knows of providers.
    """

    def unsupported(self, provider: str) -> frozenset[Feature]:
        """Return the features that any program found a provider to lack within a day."""
        ...

    def mark_unsupported(self, provider: str, features: Iterable[Feature]) -> None:
        """Record for a day, for all programs, which features a provider lacks."""
        ...

    def cooldown_remaining(self, provider: str) -> float:
        """Return how many seconds a provider's cooldown still lasts."""
        ...

    def start_cooldown(self, provider: str, seconds: float) -> None:
        """Start a provider's cooldown for all programs."""
        ...

    def reserve_rate_slot(self, provider: str, interval: float, max_wait: float) -> float:
        """Return the seconds until the next request may start; reserve that time if soon enough."""
        ...

    def queue_for_slot(self, provider: str, count: int) -> SlotLease:
        """Queue for one of `count` concurrency slots, which all processes share."""
        ...
