"""
What a library is kept on: four ports, above which the store's rules stand once.

`Facts` are records, `Rights` say who works on what and when, `Blobs` hold the bytes of images, and
the `Index` answers questions about facts. `_store/disk` implements them with files; an
implementation on a database and an object store has to pass `tests/store/contract` as well. None of
them needs a session that stays open, and none trusts the clock of the calling machine for more than
waiting.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import attrs

from imagesession.errors import StorageIOError

if TYPE_CHECKING:
    from imagesession._domain.health import HealthCheck
    from imagesession._domain.reports import PendingRequest
    from imagesession._domain.turn import ImageRecord, Turn
    from imagesession._engine.http import ReceivedImage
    from imagesession._engine.image_queries import CostTotals, ImageQuery, SpendingQuery

Kind: TypeAlias = Literal[
    "session", "turn", "intent", "batch", "marks", "removal", "upload", "provider", "quarantine"
]
"""What a fact is about. Marks have the id of their session, batch or standalone turn."""
EXTENDED: frozenset[Kind] = frozenset({"intent", "batch"})
"""The kinds of facts that are extended: implementations may keep them as lines that are merged."""
DISPOSABLE: frozenset[Kind] = frozenset({"upload", "provider"})
"""The kinds of facts whose loss costs a request at most."""


@attrs.frozen(order=True)
class Key:
    """
    The name of a fact.

    Attributes:
        kind: What it is about.
        id: Its id, which is unique within its kind and session.
        session: The session that a turn or intent belongs to; None for a standalone image.
    """

    kind: Kind
    id: str
    session: str | None = None


@attrs.frozen
class ImageLocation:
    """
    Where the record of an image is found.

    Attributes:
        image: The image's id.
        turn: Its turn's id.
        session: Its session's id; None for a standalone image.
        position: Its position among the turn's images, from 0.
    """

    image: str
    turn: str
    session: str | None
    position: int


class FactExistsError(StorageIOError):
    """
    There is a fact of that key already.
    """


class LeaseLostError(StorageIOError):
    """
    A right was given back, or another program has taken it over.
    """


class Facts(Protocol):
    """
    Records: JSON objects as bytes, each under a key.

    All methods raise `StorageIOError` if the records cannot be read or written.
    """

    def put_new(self, facts: Mapping[Key, bytes]) -> None:
        """
        Write new facts durably, in this order: all of them, or none if this raises. If the process
        dies meanwhile, the first of them may be there.

        Raises:
            FactExistsError: One of the keys is in use.
        """
        ...

    def settle(self, turn: Turn, lease: Lease | None = None) -> None:
        """
        Write a turn durably in place of its intent, which may be dropped from then on. If several
        programs settle the same turn, the first one wins.

        Args:
            turn: The settled turn.
            lease: The right to its intent.

        Raises:
            FactExistsError: The turn is settled.
            LeaseLostError: Another program has taken the lease over.
        """
        ...

    def replace(self, key: Key, data: bytes) -> None:
        """Write a fact durably, whether or not there is one; readers see either content, whole."""
        ...

    def extend(self, key: Key, news: Mapping[str, Any]) -> None:
        """
        Give an intent or batch further members durably, or other values of those it has. If the
        process dies meanwhile, the fact is as it was.
        """
        ...

    def get(self, key: Key) -> bytes | None:
        """
        Return a fact with whatever is damaged in it; `{}` if unfinished, and None if there is none.
        """
        ...

    def get_many(self, keys: Iterable[Key]) -> dict[Key, bytes]:
        """
        Return those of some facts that there are.
        """
        ...

    def unsettled(self) -> Iterator[tuple[Key, bytes]]:
        """
        Yield the intents whose turns are not settled, the oldest first.
        """
        ...

    def has(self, key: Key) -> bool:
        """Tell whether there is a fact, even if it cannot be read."""
        ...

    def drop(self, key: Key) -> None:
        """Remove a fact, if there is one."""
        ...

    def scan(self, kind: Kind, session: str | None = None) -> Iterator[Key]:
        """
        Yield the keys of a kind in the order of their ids, as the facts were when this was called.

        Args:
            kind: The kind; intents of all sessions are yielded.
            session: Turns of this session only; None for those of standalone images.
        """
        ...

    def transaction(self, name: str) -> AbstractContextManager[None]:
        """
        Keep all other threads and programs out of transactions of this name for a block. Within it,
        facts and index are as the last one left them. What was written stays if the block raises.
        """
        ...

    def now(self) -> dt.datetime:
        """
        Return the time in UTC, by a clock that the programs on a library share as far as they can.
        """
        ...

    def describe(self, key: Key) -> str:
        """Return where a fact is kept, for error messages."""
        ...


class Lease(Protocol):
    """
    A right that is held. It ends when it is released or garbage-collected, and with its process.
    """

    @property
    def fence(self) -> int:
        """A number that no other lease of this name has, before or after."""
        ...

    @property
    def is_held(self) -> bool:
        """Whether the right is still held, as far as this process knows."""
        ...

    def release(self) -> None:
        """Give the right back; again, this does nothing."""
        ...


class Rights(Protocol):
    """
    Who works on what, and when, among all threads and programs on a library.
    """

    def hold(self, name: str, places: int = 1) -> Lease | None:
        """
        Take a right at once; None if all its places are known to be taken. The rights of a dead
        process are free.
        """
        ...

    def is_held(self, name: str) -> bool:
        """
        Tell whether a right, of which there is one, is held by any program. If that cannot be
        told, it counts as held.
        """
        ...

    def next_time(self, name: str, interval: float = 0.0, max_wait: float = 0.0) -> float:
        """
        Return the seconds until the next turn. If they are at most `max_wait`, the turn is the
        caller's, and the one after it comes `interval` seconds later.
        """
        ...

    def postpone(self, name: str, seconds: float) -> None:
        """Let no turn come earlier than in some seconds."""
        ...


class Blobs(Protocol):
    """
    The bytes of images. A key is what `ImageRecord.file` holds.
    """

    def check_room(self, turns: Collection[Turn], pending: int) -> None:
        """
        Raise a `StorageIOError` if the images of turns that are about to be requested cannot be
        stored, beside as many as may be under way (`pending`).
        """
        ...

    def put_new(
        self,
        turn: Turn,
        at: dt.datetime,
        image: ReceivedImage,
        recorded: Collection[str] | None = None,
    ) -> str:
        """
        Write an image durably, with exactly these bytes, and return its key. Nothing that is there
        is replaced.

        Args:
            turn: The turn that it belongs to.
            at: The time in UTC that its name may have.
            image: The image.
            recorded: The keys in records of the turn's session, if an interrupted program may have
                written the image already: a key with these bytes that is not among them is
                returned. None to write in any case.

        Raises:
            StorageIOError: It cannot be written.
        """
        ...

    def get(self, key: str) -> bytes:
        """
        Return an image's bytes; if they cannot be read, the `strerror` of an `OSError` says why.
        """
        ...

    def version(self, key: str) -> object:
        """Return a value that differs after the image's bytes were changed; may raise as `get`."""
        ...

    def drop(self, key: str) -> None:
        """Remove an image and the metadata beside it, if they are there."""
        ...

    def set_aside(self, key: str) -> None:
        """
        Put a deleted image where people do not come upon it, if they see it at all; again, do
        nothing. Its key and what `get` returns stay the same.
        """
        ...

    def put_back(self, key: str) -> None:
        """Undo `set_aside`; raise a `StorageIOError` if another file has taken its place."""
        ...

    def find_moved(self, images: Iterable[ImageRecord]) -> dict[str, str]:
        """
        Return the keys of files, by images' ids, that have exactly the bytes of an image whose own
        file is gone, because a person moved or renamed it; without those that are not found.
        """
        ...

    def address(self, key: str) -> str:
        """Return where people and other programs find an image: a path, or a URL."""
        ...

    def local_file(self, key: str) -> str:
        """
        Return the path of a file on this machine with an image's bytes; a copy that is fetched, if
        images are kept elsewhere.

        Raises:
            OSError: It cannot be fetched; the `strerror` says why.
        """
        ...

    def url(self, key: str, seconds: float) -> str:
        """
        Return a URL under which anybody can read an image for some seconds; on disk, that of its
        file.
        """
        ...

    def annotate(self, key: str, metadata: Mapping[str, Any]) -> None:
        """
        Put a copy of an image's metadata beside it, from which a lost record can be made. If this
        fails, it does nothing; records do not depend on it.
        """
        ...

    def annotation(self, key: str) -> dict[str, Any] | None:
        """Return the metadata beside an image; None if there is none that can be read."""
        ...

    def keys(self) -> Iterator[str]:
        """Yield the keys of all images."""
        ...


class Index(Protocol):
    """
    Answers about turns and sessions. It reflects every fact whose writing has returned, and can be
    rebuilt from the facts at any time.
    """

    def of(self, owner: str) -> Index:
        """
        Return an index that knows only what belongs to an owner; `spent` and `settled_under` are
        told whose costs and keys are asked for.
        """
        ...

    def find(self, image_id: str) -> ImageLocation | None:
        """Return where an image's record is, whether or not it is deleted."""
        ...

    def page(self, query: ImageQuery) -> list[ImageLocation]:
        """
        Return the latest images that a query asks for, the newest first. Marks say which are
        deleted, by themselves or with their session, starred or tagged.
        """
        ...

    def tally(self, query: SpendingQuery) -> list[CostTotals]:
        """Sum the costs of turns by group."""
        ...

    def spent(
        self,
        day: dt.date,
        session: str | None,
        owner: str | None,
        without: Collection[str] = (),
    ) -> tuple[float, float, float]:
        """
        Return the US dollars that a budget counts for the turns of a day (UTC), for those of a
        session, and for those of an owner on that day, but for the turns `without`.
        """
        ...

    def settled_under(
        self, idempotency_keys: Collection[str], owner: str | None
    ) -> dict[str, list[Key]]:
        """
        Return all turns that were settled under some idempotency keys, and belong to an owner or,
        if that is None, to nobody; the latest first.
        """
        ...

    def turns(self, before: str | None = None) -> list[Key]:
        """
        Return all turns, in the order of their ids; or those older than an id that are not erased.
        """
        ...

    def sessions_of(self, ids: Iterable[str]) -> dict[str, str | None]:
        """
        Return the sessions of those ids that turns or images have; None for standalone images.
        """
        ...

    def sessions(
        self,
        name: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        *,
        deleted: bool = False,
    ) -> list[str]:
        """
        Return the ids of sessions, the latest first.

        Args:
            name: Only those that have this name, folded, and maybe some that cannot be read.
            limit: The largest number; None for all.
            before: Only those older than the session of this id.
            deleted: Those that can be restored, in place of those that are not deleted.
        """
        ...

    def count_sessions(self) -> int:
        """Return how many sessions are not deleted."""
        ...

    def active(self, since: str) -> list[tuple[str, str]]:
        """
        Return the open sessions with a turn or move since an id, each with the id of the latest.
        """
        ...

    def rebuild(self) -> None:
        """Read all facts again, because an answer contradicted them."""
        ...


class Ports(Protocol):
    """
    A library, opened: the four ports, and what concerns all of them.
    """

    @property
    def facts(self) -> Facts: ...

    @property
    def rights(self) -> Rights: ...

    @property
    def blobs(self) -> Blobs: ...

    @property
    def index(self) -> Index: ...

    @property
    def address(self) -> str:
        """Where people find the library: a folder, or a URL."""
        ...

    def check_health(
        self, pending: Callable[[], tuple[PendingRequest, ...]], *, verify: bool
    ) -> tuple[HealthCheck, ...]:
        """
        Check what is kept without changing anything.

        Args:
            pending: Returns the requests that are not settled.
            verify: Whether to read every image and compare it with its record.
        """
        ...

    def drop_queues(self, owner: str) -> None:
        """Remove the queued requests of an owner, if the library has queues."""
        ...

    def close(self) -> None:
        """Give back what is held for the library, unless a lease is held; it stays usable."""
        ...
