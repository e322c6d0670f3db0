"""
The interface of a library's store, as workflows use it.
"""

from __future__ import annotations

import datetime as dt
from typing import Protocol

import attrs

from imagesession._domain.health import HealthCheck

from .batch_store import BatchStore
from .image_store import ImageStore, MarkStore
from .intent_store import IntentStore, TurnStore
from .provider_store import ProviderStore, UploadStore
from .removal_store import RemovalStore, TargetStore
from .session_store import ExportStore, SessionStore


@attrs.frozen(kw_only=True)
class IdAndTime:
    """
    A new id, the time in UTC, and whose it is.
    """

    id: str
    at: dt.datetime
    owner: str | None = None


class RepairStore(Protocol):
    """
    The repairs of a library's store.
    """

    def quarantine_damaged(self) -> dict[str, str]:
        """Move damaged records of requests into quarantine; return their new places by id."""
        ...


class Store(Protocol):
    """
    A library's store; only its implementation knows where things are kept. Its parts in `_store`
    add what else a caller has to know of a method, such as its errors.
    """

    @property
    def intents(self) -> IntentStore: ...

    @property
    def turns(self) -> TurnStore: ...

    @property
    def sessions(self) -> SessionStore: ...

    @property
    def images(self) -> ImageStore: ...

    @property
    def marks(self) -> MarkStore: ...

    @property
    def batches(self) -> BatchStore: ...

    @property
    def targets(self) -> TargetStore: ...

    @property
    def removals(self) -> RemovalStore: ...

    @property
    def uploads(self) -> UploadStore: ...

    @property
    def providers(self) -> ProviderStore: ...

    @property
    def exports(self) -> ExportStore: ...

    @property
    def repairs(self) -> RepairStore: ...

    def new_id(self, after: str = "") -> IdAndTime:
        """Return the time, a new id, greater than `after`, and whose the store is."""
        ...

    @property
    def address(self) -> str:
        """Where people find the library: a folder, or a URL."""
        ...

    def check_health(self, *, verify: bool, repair: bool = False) -> tuple[HealthCheck, ...]:
        """Check the library; nothing is changed but what `repair` brings back before."""
        ...
