"""
The interface of a library's store, as workflows use it, and the values that go in and out.

Only its implementation knows where things are kept. Its parts in `_store` say what else a caller
has to know of a method, such as its errors. Intents, turns, sessions, batches, marks and removals
are durable when the method that writes them returns.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from imagesession._domain.health import HealthCheck
from imagesession._domain.marks import Mark, Marks
from imagesession._domain.removal import ProviderCopy, Removal, Targets, Verb
from imagesession._domain.reports import PendingRequest
from imagesession._domain.servers import Feature
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.turn import ImageRecord, Turn

from .http import ReceivedImage
from .image_queries import CostTotals, ImageQuery, SpendingQuery

if TYPE_CHECKING:
    from concurrent.futures import Future

    from imagesession._domain.batch import BatchRecord, BatchUpdate
    from imagesession._domain.budget import Budget
    from imagesession._domain.estimate import CostEstimate


@attrs.frozen(kw_only=True)
class IdAndTime:
    """
    A new id, the time in UTC, and whose it is.
    """

    id: str
    at: dt.datetime
    owner: str | None = None


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


@attrs.frozen(kw_only=True)
class BatchIntent:
    """
    A recorded batch, and the right to submit it; None if it was submitted before.
    """

    record: BatchRecord
    lease: Lease | None = None


@attrs.frozen(kw_only=True)
class SessionActivity:
    """
    The time of a session's last activity.
    """

    session_id: str
    last: dt.datetime


@attrs.frozen(kw_only=True)
class Upload:
    """
    An image that was uploaded to a provider.
    """

    file_id: str
    expires: dt.datetime


class IntentStore(Protocol):
    """
    The requests that are not settled.
    """

    # Its lease, or the turn that was made with the same idempotency key. It is refused if the disk
    # or the budget has no room for it.
    def write(self, turn: Turn, reservation: BudgetReservation | None = None) -> Turn | Lease: ...
    # The oldest first.
    def pending(self) -> tuple[PendingRequest, ...]: ...
    # Whether there is an intent or a record of a turn.
    def knows(self, turn_id: str) -> bool: ...
    # Whether `orphans` was not called yet, which returns something on its first call only.
    def is_new(self) -> bool: ...
    def orphans(self) -> tuple[PendingRequest, ...]: ...
    # None if a program holds it, or it is settled.
    def acquire(self, turn: Turn) -> Lease | None: ...
    # When the provider first showed nothing of a request; if not before, then at `date`.
    def absent_since(self, turn: Turn, date: dt.datetime) -> dt.datetime: ...
    # For a day.
    def mark_unaccepted(self, turn: Turn) -> None: ...
    def unaccepted(self) -> tuple[Turn, ...]: ...
    # A failed turn becomes pending; None if another program is at it.
    def reopen(self, turn: Turn) -> Lease | None: ...
    def completed_under(self, idempotency_key: str) -> Turn | None: ...
    def record_response_id(self, turn: Turn, response_id: str) -> None: ...
    # That it is sent in another conversation than was planned, or in none.
    def record_conversation(self, turn: Turn, conversation: str | None) -> None: ...
    # Of some standalone turns, those that are in the journal and not settled.
    def unsettled(self, turn_ids: Collection[str]) -> tuple[Turn, ...]: ...
    # The provider did not accept it.
    def discard(self, turn: Turn) -> None: ...


class TurnStore(Protocol):
    """
    The requests that are settled, and the images of those that are about to be.
    """

    # The images first, then the turn, which is returned with them. Copies are images in the library
    # that the turn has too.
    def commit(
        self, turn: Turn, pictures: tuple[ReceivedImage, ...], copies: tuple[ImageRecord, ...] = ()
    ) -> Turn: ...
    # For `commit`: the image, then its place in the journal.
    def stage(self, turn: Turn, image: ReceivedImage) -> None: ...
    # The path of the file with a paid reply that cannot be read.
    def quarantine(self, turn_id: str, body: bytes) -> str: ...


class SessionStore(Protocol):
    """
    The sessions.
    """

    def save(self, record: SessionRecord) -> None: ...
    # No other process interferes.
    def update(
        self, session_id: str, change: Callable[[SessionRecord], SessionRecord]
    ) -> SessionRecord: ...
    # By its id, or by a name that only one session has.
    def find(self, wanted: str) -> SessionRecord: ...
    # Without what was deleted, or with what is in the bin.
    def tree(self, record: SessionRecord, *, deleted: bool = False) -> Tree: ...
    # In whichever case and Unicode composition, the latest first.
    def named(self, name: str) -> tuple[SessionRecord, ...]: ...
    # The latest first, older than the session with the id `before`; with `deleted`, those in the
    # bin.
    def list(
        self, limit: int | None = None, before: str | None = None, *, deleted: bool = False
    ) -> tuple[SessionRecord, ...]: ...
    # The time of its latest turn or move, or of its creation.
    def activity(self, record: SessionRecord) -> dt.datetime: ...
    # Of those that are not deleted.
    def count(self) -> int: ...
    # Open and with a turn or move since then, the longest idle first.
    def active(self, since: dt.datetime) -> tuple[SessionActivity, ...]: ...


class ImageStore(Protocol):
    """
    The images and their costs. An image is a turn and the image's position there.
    """

    def read(self, image: ImageRecord) -> bytes: ...
    def read_received(self, image: ImageRecord) -> bytes: ...
    # The path of its file, or a URL.
    def path(self, image: ImageRecord) -> str: ...
    # The newest first.
    def list(self, query: ImageQuery) -> tuple[tuple[Turn, int], ...]: ...
    # The ids of session, turn and image, the newest first, without reading a record.
    def locate(self, query: ImageQuery) -> tuple[tuple[str | None, str, str], ...]: ...
    # The oldest first, without reading a record.
    def turn_ids(self, session: str) -> tuple[str, ...]: ...
    # Without those that are gone.
    def read_turns(self, session: str | None, ids: Iterable[str]) -> tuple[Turn, ...]: ...
    def find(self, image_id: str) -> tuple[Turn, int]: ...
    # As in its sidecar file.
    def metadata(self, turn: Turn, position: int) -> dict[str, Any]: ...
    def spending(self, query: SpendingQuery) -> tuple[CostTotals, ...]: ...


class MarkStore(Protocol):
    """
    The marks; their owner is a session, a batch, or a standalone turn.
    """

    def of(self, owner: str) -> Marks: ...
    # By owner, without those that are damaged.
    def all(self) -> Mapping[str, Marks]: ...
    # All at once.
    def change(self, owner: str, ids: Iterable[str], change: Callable[[Mark], Mark]) -> None: ...


class BatchStore(Protocol):
    """
    The batches.
    """

    # With the intents of its turns, if the disk and the budget have room for them; or the batch
    # that was submitted with its name before.
    def begin(
        self, record: BatchRecord, turns: Sequence[Turn], reservation: BudgetReservation | None
    ) -> BatchIntent: ...
    def find_identical(self, name: str, digest: str) -> BatchRecord | None: ...
    def update(self, record: BatchRecord, news: BatchUpdate) -> BatchRecord: ...
    # Of a batch whose record is gone; None if it is there, perhaps in the bin.
    def restore(self, record: BatchRecord) -> BatchRecord | None: ...
    # With the intents of its turns; it was not submitted.
    def discard(self, record: BatchRecord) -> None: ...
    # By its id, its name, or the provider's id for it.
    def find(self, wanted: str) -> BatchRecord: ...
    # The latest first; with `deleted`, those in the bin.
    def list(self, *, deleted: bool = False) -> tuple[BatchRecord, ...]: ...
    # The settled turns of its items, in order; None for a pending item.
    def turns(self, record: BatchRecord) -> tuple[Turn | None, ...]: ...


class TargetStore(Protocol):
    """
    What is to be removed.
    """

    def find(
        self,
        verb: Verb,
        images: Iterable[str] = (),
        sessions: Iterable[str] = (),
        batches: Iterable[str] = (),
    ) -> Targets: ...
    def in_bin(self, before: dt.datetime | None) -> Targets: ...
    # Whatever its state, and what is left of what was erased.
    def of_owner(self, owner: str) -> Targets: ...
    # Without what has a star.
    def older_than(self, date: dt.datetime) -> Targets: ...


class RemovalStore(Protocol):
    """
    The removals.
    """

    # It is recorded, then carried out in the library.
    def begin(self, verb: Verb, targets: Targets, *, forgets_owner: bool = False) -> Removal: ...
    # Those of stopped programs; returns the ones with copies that remain.
    def finish_all(self) -> tuple[Removal, ...]: ...
    # That the provider has these copies no more.
    def record_erased(self, removal: Removal, copies: Collection[ProviderCopy]) -> Removal: ...
    def drop_queues(self, owner: str) -> None: ...


class UploadStore(Protocol):
    """
    The uploaded images.
    """

    # None if it expired by then, too.
    def find(self, sha256: str, provider: str, at: dt.datetime) -> Upload | None: ...
    # The right to upload it; None while another call does, in any program.
    def begin(self, sha256: str, provider: str) -> Lease | None: ...
    def record(self, sha256: str, provider: str, upload: Upload) -> None: ...
    # The provider does not know it any more.
    def invalidate(self, sha256: str, provider: str) -> None: ...


class ProviderStore(Protocol):
    """
    What all programs know of providers.
    """

    # What any program has marked within a day.
    def unsupported(self, provider: str) -> frozenset[Feature]: ...
    def mark_unsupported(self, provider: str, features: Iterable[Feature]) -> None: ...
    # In seconds.
    def cooldown_remaining(self, provider: str) -> float: ...
    def start_cooldown(self, provider: str, seconds: float) -> None: ...
    # Seconds until the next request may start; that time is reserved if it is soon enough.
    def reserve_rate_slot(self, provider: str, interval: float, max_wait: float) -> float: ...
    # For one of `count` slots, which all processes share.
    def queue_for_slot(self, provider: str, count: int) -> SlotLease: ...


class ExportStore(Protocol):
    """
    The exports and imports of sessions.
    """

    # Into a new folder or zip file; returns its path, and what is missing.
    def export_session(self, session_id: str, path: object) -> tuple[str, tuple[str, ...]]: ...
    def import_session(self, path: object) -> SessionRecord: ...


class RepairStore(Protocol):
    """
    The repairs.
    """

    # The new places of damaged records of requests, by their ids.
    def quarantine_damaged(self) -> dict[str, str]: ...


class Store(Protocol):
    """
    A library's store.
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
    # A folder, or a URL.
    @property
    def address(self) -> str: ...
    # An id that is greater than `after`, the time, and whose the store is.
    def new_id(self, after: str = "") -> IdAndTime: ...
    # Nothing is changed but what `repair` brings back before.
    def check_health(self, *, verify: bool, repair: bool = False) -> tuple[HealthCheck, ...]: ...
