"""
What flows ask of a library, wherever it keeps things.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import attrs

from imagesession._domain.health import HealthCheck
from imagesession._domain.image_header import ImageHeader
from imagesession._domain.reports import PendingRequest
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.turn import ImageRecord, Kind, Turn

from .batch_store import BatchStore
from .http import Feature, ReceivedImage

if TYPE_CHECKING:
    from .leases import BudgetReservation, Lease, SlotLease

Source: TypeAlias = "str | os.PathLike[str] | bytes | ImageRecord | object"
"""Where a picture comes from: a path or an id, bytes, a picture of the library, a PIL image."""


@attrs.frozen(kw_only=True)
class InputImage:
    """
    A picture that is ready to be sent along.

    Attributes:
        data: Its bytes, in a format that the wire takes.
        facts: What its header says.
        sha256: Of its bytes, in hexadecimal.
        image_id: Its id, when it is a picture of the library.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    facts: ImageHeader
    sha256: str
    image_id: str | None = None


@attrs.frozen(kw_only=True)
class ImportedImage:
    """
    A picture from elsewhere, as it is, with what lies beside it.

    Attributes:
        data: Its bytes.
        facts: What its header says.
        file: The name of its file, if it had one.
        prompt: What was asked for it, if that is known.
        revised_prompt: What the image model was told, if that is known.
        model: The mainline model, if that is known.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    facts: ImageHeader
    file: str | None = None
    prompt: str = ""
    revised_prompt: str | None = None
    model: str | None = None


@attrs.frozen(kw_only=True)
class SessionActivity:
    """
    When something last happened in a session.
    """

    session_id: str
    last: dt.datetime


@attrs.frozen(kw_only=True)
class IdAndTime:
    """
    A new id, and the time in UTC.
    """

    id: str
    at: dt.datetime


@attrs.frozen(kw_only=True)
class ImageQuery:
    """
    Which pictures to list, the latest first.

    Attributes:
        session: Only those of a session; None for all.
        kind: Only those of a kind.
        text: Only those whose prompt, revised prompt or label holds it; case does not count.
        since: Only those made then or later.
        until: Only those made before.
        limit: At most so many.
        before: Only those older than the picture of this id.
    """

    session: str | None = None
    kind: Kind | None = None
    text: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    limit: int = 50
    before: str | None = None


@attrs.frozen(kw_only=True)
class SpendingQuery:
    """
    What to add the costs up by.

    Attributes:
        by: The fact of a turn whose values make the groups.
        since: Only turns of this day (UTC) or later.
        until: Only turns of this day or earlier.
        session: Only those of a session.
    """

    by: Literal["day", "session", "model", "kind", "provider"] = "day"
    since: dt.date | None = None
    until: dt.date | None = None
    session: str | None = None


@attrs.frozen
class CostTotals:
    """
    What a group of turns came to.

    Attributes:
        group: The value that they share; empty for those that have none.
        cost: US dollars, as far as the prices are known.
        spent: US dollars that a budget counts: where a price is not known, what was set aside.
        uncertain: In how many turns a price is not known.
        images: How many pictures came.
        turns: How many turns there were.
    """

    group: str
    cost: float
    spent: float
    uncertain: int
    images: int
    turns: int


@attrs.frozen(kw_only=True)
class Upload:
    """
    A picture that a provider holds.

    Attributes:
        file_id: Its id there; None where the provider takes no files.
        expires: When it is gone.
    """

    file_id: str | None
    expires: dt.datetime


class Store(BatchStore, Protocol):
    """
    What a library does; the only part of the program that knows where things are kept.
    """

    def new_id(self, after: str = "") -> IdAndTime:
        """Give out the time and an id, greater than one that is there already."""
        ...

    def write_intent(
        self, turn: Turn, reservation: BudgetReservation | None = None
    ) -> Turn | Lease:
        """
        Write down durably what is about to be asked, if there is room for what will come and
        the budget allows it; give the right to be at it, or the turn that was made under its
        intent's name before.
        """
        ...

    def pending(self) -> tuple[PendingRequest, ...]:
        """Return the intents that are not settled, the oldest first."""
        ...

    def orphaned_intents(self) -> tuple[PendingRequest, ...]:
        """Return what programs that were stopped have left, when asked for the first time."""
        ...

    def acquire_lease(self, turn: Turn) -> Lease | None:
        """Take over an intent that nobody is at; None if somebody is, or it is settled."""
        ...

    def find_intent(self, idempotency_key: str) -> Turn | None:
        """Return the turn that was completed under a caller's own name for it."""
        ...

    def record_response_id(self, turn: Turn, response_id: str) -> None:
        """Write down durably the provider's id of what was asked."""
        ...

    def unsettled_turns(self, turn_ids: Collection[str]) -> tuple[Turn, ...]:
        """Return those of some one-shots that stand in the journal and are not settled."""
        ...

    def discard_intent(self, turn: Turn) -> None:
        """Drop an intent that the provider did not take up."""
        ...

    def commit(
        self, turn: Turn, pictures: tuple[ReceivedImage, ...], copies: tuple[ImageRecord, ...] = ()
    ) -> Turn:
        """
        Write pictures and turn durably, in this order, and return the turn with its images;
        copies are pictures of the library that the turn has too.
        """
        ...

    def stage(self, turn: Turn, image: ReceivedImage) -> None:
        """
        Write a finished picture durably before its turn is settled, and note in the journal where
        it is; `commit` takes it from there.
        """
        ...

    def quarantine(self, turn_id: str, body: bytes) -> str:
        """Keep a reply that was paid for and could not be read; return where."""
        ...

    def fetch(self, source: Source) -> InputImage:
        """Read a reference picture, wherever it is."""
        ...

    def fetch_original(self, source: Source) -> ImportedImage:
        """Read a picture as it is, with what is known of it, to keep it."""
        ...

    def mask(self, source: object, picture: InputImage, *, fit: bool) -> InputImage:
        """Read a mask as the wire takes it, checked against its picture."""
        ...

    def markup(self, source: Source, picture: InputImage, *, fit: bool) -> InputImage:
        """Read a drawing to lie over a picture, checked against it."""
        ...

    def composite(self, original: InputImage, mask: InputImage, reply: bytes) -> ReceivedImage:
        """Put a reply into its original where the mask opens it, to the pixel."""
        ...

    def unsupported(self, provider: str) -> frozenset[Feature]:
        """Return what a provider was found not to take within a day, by any program."""
        ...

    def mark_unsupported(self, provider: str, features: Iterable[Feature]) -> None:
        """Remember for a day, for all programs, what a provider does not take."""
        ...

    def has_accepted(self, provider: str) -> bool:
        """Tell whether a provider has accepted a request of this program."""
        ...

    def mark_accepted(self, provider: str) -> None:
        """Remember, as long as this program runs, that a provider has accepted a request."""
        ...

    def acquire_conversation(self, head: Turn) -> str | None:
        """
        Give the right to go on in the conversation in which a turn was the last word; None if
        this program did not say it, or somebody has that right already.
        """
        ...

    def release_conversation(self, turn: Turn) -> None:
        """Remember that a turn was the last word in its conversation."""
        ...

    def record_conversation(self, turn: Turn, conversation: str | None) -> None:
        """Write down durably that a turn is asked in another conversation than was intended."""
        ...

    def cooldown_remaining(self, provider: str) -> float:
        """Return for how many seconds a provider wants to be left alone still."""
        ...

    def start_cooldown(self, provider: str, seconds: float) -> None:
        """Remember that a provider wants to be left alone."""
        ...

    def reserve_rate_slot(self, provider: str, interval: float) -> float:
        """Take the next time at which a request may go out; return the seconds to wait."""
        ...

    def queue_for_slot(self, provider: str, count: int) -> SlotLease:
        """Queue for one of so many slots among all processes' requests under way."""
        ...

    def find_upload(self, sha256: str, provider: str, at: dt.datetime) -> Upload | None:
        """Return the picture's id with a provider, if it lives; None if it must go up."""
        ...

    def begin_upload(self, sha256: str, provider: str) -> Lease | None:
        """Give the right to send a picture up; None while another call of this program does."""
        ...

    def record_upload(self, sha256: str, provider: str, upload: Upload) -> None:
        """Remember a picture's id with a provider."""
        ...

    def invalidate_upload(self, sha256: str, provider: str) -> None:
        """Forget a picture's id that the provider does not know any more."""
        ...

    def load_stored_input(self, image: ImageRecord) -> InputImage | None:
        """Read a picture of the library as the wire takes it; None for one that has no pixels."""
        ...

    def read(self, image: ImageRecord) -> bytes:
        """Return a picture's bytes."""
        ...

    def path(self, image: ImageRecord) -> str:
        """Return where a picture's file lies."""
        ...

    def save_session(self, record: SessionRecord) -> None:
        """Write a new session's record durably."""
        ...

    def update_session(
        self, session_id: str, change: Callable[[SessionRecord], SessionRecord]
    ) -> SessionRecord:
        """Change a session's record durably, with no other process in between."""
        ...

    def find_session(self, wanted: str) -> SessionRecord:
        """Return a session by its id, or by a name that only one session has."""
        ...

    def tree(self, record: SessionRecord) -> Tree:
        """Return a session's turns."""
        ...

    def sessions_named(self, name: str) -> tuple[SessionRecord, ...]:
        """Return the sessions of a name, the latest first."""
        ...

    def list_sessions(
        self, limit: int | None = None, before: str | None = None
    ) -> tuple[SessionRecord, ...]:
        """
        Return the latest sessions, the latest first: at most so many, and only those older than the
        session of an id.
        """
        ...

    def list_images(self, query: ImageQuery) -> tuple[tuple[Turn, int], ...]:
        """Return turns with the position of a picture in each."""
        ...

    def find_image(self, image_id: str) -> tuple[Turn, int]:
        """Return the turn of a picture, and its position there."""
        ...

    def metadata(self, turn: Turn, position: int) -> dict[str, Any]:
        """Return all that is recorded of a picture, as it lies beside its file."""
        ...

    def spending(self, query: SpendingQuery) -> tuple[CostTotals, ...]:
        """Add up what turns cost."""
        ...

    def export_session(self, session_id: str, path: object) -> str:
        """Write a session into a new folder or zip; return where."""
        ...

    def import_session(self, path: object) -> SessionRecord:
        """Take an exported session in, as it was."""
        ...

    def check_health(self, *, verify: bool) -> tuple[HealthCheck, ...]:
        """Look whether everything is as it should be; change nothing."""
        ...

    def activity(self, record: SessionRecord) -> dt.datetime:
        """Return when something last happened in a session."""
        ...

    def count_sessions(self) -> int:
        """Return how many sessions there are."""
        ...

    def active_sessions(self, since: dt.datetime) -> tuple[SessionActivity, ...]:
        """Return the open sessions in which something happened since, the idlest first."""
        ...
