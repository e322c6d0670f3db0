"""
The interface of a library's store, as workflows use it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

import attrs

from imagesession._domain.health import HealthCheck
from imagesession._domain.marks import Mark, Marks
from imagesession._domain.reports import PendingRequest
from imagesession._domain.servers import Feature
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.turn import ImageRecord, Kind, Turn

from .batch_store import BatchStore
from .http import ReceivedImage
from .removal_store import RemovalStore

if TYPE_CHECKING:
    from .leases import BudgetReservation, Lease, SlotLease


@attrs.frozen(kw_only=True)
class SessionActivity:
    """
    The time of a session's last activity.
    """

    session_id: str
    last: dt.datetime


@attrs.frozen(kw_only=True)
class IdAndTime:
    """
    A new id, the time in UTC, and whose it is.
    """

    id: str
    at: dt.datetime
    owner: str | None = None


@attrs.frozen(kw_only=True)
class ImageQuery:
    """
    Which images to list, the latest first.

    Attributes:
        session: Only images of this session; None for all.
        kind: Only images of this kind.
        text: Only images whose prompt, revised prompt or label contains it, ignoring case.
        since: Only images made at this time or later.
        until: Only images made before this time.
        limit: The maximum number.
        before: Only images older than the one with this id.
        starred: Only images with a star, or without one; None for both.
        tags: Only images that have all of these tags, ignoring case.
        deleted: Only images in the bin, in place of those that are not deleted.
    """

    session: str | None = None
    kind: Kind | None = None
    text: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    limit: int = 50
    before: str | None = None
    starred: bool | None = None
    tags: tuple[str, ...] = ()
    deleted: bool = False


@attrs.frozen(kw_only=True)
class SpendingQuery:
    """
    Which costs to add up, and how to group them.

    Attributes:
        by: The property of a turn to group by.
        since: Only turns of this day (UTC) or later.
        until: Only turns of this day or earlier.
        session: Only turns of this session.
    """

    by: Literal["day", "session", "model", "kind", "provider", "owner"] = "day"
    since: dt.date | None = None
    until: dt.date | None = None
    session: str | None = None


@attrs.frozen
class CostTotals:
    """
    The totals of a group of turns.

    Attributes:
        group: The value that they share; empty for turns without one.
        cost: US dollars, as far as the prices are known.
        spent: US dollars that a budget counts: the reservation where a price is not known.
        uncertain: The number of turns with an unknown price.
        images: The number of images.
        turns: The number of turns.
        context: US dollars for input that earlier turns took again.
        context_tokens: How many input tokens that were.
    """

    group: str
    cost: float
    spent: float
    uncertain: int
    images: int
    turns: int
    context: float
    context_tokens: int


@attrs.frozen(kw_only=True)
class Upload:
    """
    An image that was uploaded to a provider.

    Attributes:
        file_id: Its file id.
        expires: When it expires.
    """

    file_id: str
    expires: dt.datetime


class Store(BatchStore, RemovalStore, Protocol):
    """
    A library's store; only its implementation knows where things are kept. Its parts in `_store`
    add what else a caller has to know of a method, such as its errors.
    """

    def new_id(self, after: str = "") -> IdAndTime:
        """Return the time, a new id, greater than `after`, and whose the store is."""
        ...

    def write_intent(
        self, turn: Turn, reservation: BudgetReservation | None = None
    ) -> Turn | Lease:
        """
        Write an intent durably, if there is room on the disk and the budget allows it; return its
        lease, or the turn that was made with the same idempotency key.
        """
        ...

    def pending(self) -> tuple[PendingRequest, ...]:
        """Return the intents that are not settled, the oldest first."""
        ...

    def knows_turn(self, turn_id: str) -> bool:
        """Tell whether there is an intent or a record of a turn."""
        ...

    def is_new(self) -> bool:
        """Tell whether the orphaned intents were not asked for yet."""
        ...

    def orphaned_intents(self) -> tuple[PendingRequest, ...]:
        """Return the orphaned intents, on the first call only."""
        ...

    def acquire_lease(self, turn: Turn) -> Lease | None:
        """Take over an orphaned intent; None if it is held by a program, or settled."""
        ...

    def quarantine_damaged(self) -> dict[str, str]:
        """Move damaged records of requests into quarantine; return their new places by id."""
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

    def find_intent(self, idempotency_key: str) -> Turn | None:
        """Return the turn that was completed with an idempotency key."""
        ...

    def record_response_id(self, turn: Turn, response_id: str) -> None:
        """Record the provider's id for a request durably."""
        ...

    def unsettled_turns(self, turn_ids: Collection[str]) -> tuple[Turn, ...]:
        """Return those of some standalone turns that are in the journal and not settled."""
        ...

    def discard_intent(self, turn: Turn) -> None:
        """Drop the intent of a request that the provider did not accept."""
        ...

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

    def unsupported(self, provider: str) -> frozenset[Feature]:
        """Return the features that any program found a provider to lack within a day."""
        ...

    def mark_unsupported(self, provider: str, features: Iterable[Feature]) -> None:
        """Record for a day, for all programs, which features a provider lacks."""
        ...

    def record_conversation(self, turn: Turn, conversation: str | None) -> None:
        """Record durably that a turn is sent in another conversation than was planned."""
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

    def find_upload(self, sha256: str, provider: str, at: dt.datetime) -> Upload | None:
        """Return an image's unexpired upload; None if it has to be uploaded."""
        ...

    def begin_upload(self, sha256: str, provider: str) -> Lease | None:
        """Claim the upload of an image; None while another call does it, in any program."""
        ...

    def record_upload(self, sha256: str, provider: str, upload: Upload) -> None:
        """Record an image's upload."""
        ...

    def invalidate_upload(self, sha256: str, provider: str) -> None:
        """Forget an image's upload that the provider does not know any more."""
        ...

    def read(self, image: ImageRecord) -> bytes:
        """Return an image's bytes."""
        ...

    def read_received(self, image: ImageRecord) -> bytes:
        """Return an image's bytes as they were received."""
        ...

    @property
    def address(self) -> str:
        """Where people find the library: a folder, or a URL."""
        ...

    def path(self, image: ImageRecord) -> str:
        """Return where an image is kept: the path of its file, or a URL."""
        ...

    def save_session(self, record: SessionRecord) -> None:
        """Write a new session's record durably."""
        ...

    def update_session(
        self, session_id: str, change: Callable[[SessionRecord], SessionRecord]
    ) -> SessionRecord:
        """Change a session's record durably, without interference by other processes."""
        ...

    def find_session(self, wanted: str) -> SessionRecord:
        """Return a session by its id, or by a name that only one session has."""
        ...

    def tree(self, record: SessionRecord, *, deleted: bool = False) -> Tree:
        """Return a session's turns, without what was deleted, or with what is in the bin."""
        ...

    def sessions_named(self, name: str) -> tuple[SessionRecord, ...]:
        """
        Return the sessions with this name, in whichever case and Unicode composition, the latest
        first.
        """
        ...

    def list_sessions(
        self, limit: int | None = None, before: str | None = None, *, deleted: bool = False
    ) -> tuple[SessionRecord, ...]:
        """
        Return sessions, the latest first: at most `limit`, and only those older than the session
        with the id `before`; with `deleted`, those in the bin.
        """
        ...

    def marks(self, owner: str) -> Marks:
        """Return the marks of a session, a batch, or a standalone turn."""
        ...

    def all_marks(self) -> Mapping[str, Marks]:
        """Return the marks of all that have any, by owner, without those that are damaged."""
        ...

    def change_marks(self, owner: str, ids: Iterable[str], change: Callable[[Mark], Mark]) -> None:
        """Change marks of one owner durably, all at once."""
        ...

    def list_images(self, query: ImageQuery) -> tuple[tuple[Turn, int], ...]:
        """Return images, each as its turn and its position there, the newest first."""
        ...

    def locate_images(self, query: ImageQuery) -> tuple[tuple[str | None, str, str], ...]:
        """
        Return the ids of session, turn and image, the newest first, as the index says and without
        reading a record.
        """
        ...

    def turn_ids(self, session: str) -> tuple[str, ...]:
        """Return the ids of a session's turns, the oldest first, without reading a record."""
        ...

    def read_turns(self, session: str | None, ids: Iterable[str]) -> tuple[Turn, ...]:
        """Read turns of a session, or standalone ones; those that are gone are left out."""
        ...

    def find_image(self, image_id: str) -> tuple[Turn, int]:
        """Return the turn of an image, and its position there."""
        ...

    def metadata(self, turn: Turn, position: int) -> dict[str, Any]:
        """Return all that is recorded of an image, as in its sidecar file."""
        ...

    def spending(self, query: SpendingQuery) -> tuple[CostTotals, ...]:
        """Add up the costs of turns."""
        ...

    def export_session(self, session_id: str, path: object) -> tuple[str, tuple[str, ...]]:
        """Export a session into a new folder or zip file; return its path, and what is missing."""
        ...

    def import_session(self, path: object) -> SessionRecord:
        """Import an exported session unchanged."""
        ...

    def check_health(self, *, verify: bool, repair: bool = False) -> tuple[HealthCheck, ...]:
        """Check the library; nothing is changed but what `repair` brings back before."""
        ...

    def activity(self, record: SessionRecord) -> dt.datetime:
        """Return the time of a session's latest turn or move, or of its creation."""
        ...

    def count_sessions(self) -> int:
        """Return how many sessions are not deleted."""
        ...

    def active_sessions(self, since: dt.datetime) -> tuple[SessionActivity, ...]:
        """Return the open sessions with a turn or move since a time, the longest idle first."""
        ...
