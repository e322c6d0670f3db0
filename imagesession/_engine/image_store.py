"""
The part of a store's interface that keeps images, their marks, and their costs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

import attrs

from imagesession._domain.marks import Mark, Marks
from imagesession._domain.turn import ImageRecord, Kind, Turn

if TYPE_CHECKING:
    pass


@attrs.frozen(kw_only=True)
class ImageQuery:
    """
    Which images to list, the latest first.

    Attributes:
        text: Only images whose prompt, revised prompt or label contains it, ignoring case.
        since: Only images made at this time or later.
        until: Only images made before this time.
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


class ImageStore(Protocol):
    """
    The images of a library's store.
    """

    def read(self, image: ImageRecord) -> bytes:
        """Return an image's bytes."""
        ...

    def read_received(self, image: ImageRecord) -> bytes:
        """Return an image's bytes as they were received."""
        ...

    def path(self, image: ImageRecord) -> str:
        """Return where an image is kept: the path of its file, or a URL."""
        ...

    def list(self, query: ImageQuery) -> tuple[tuple[Turn, int], ...]:
        """Return images, each as its turn and its position there, the newest first."""
        ...

    def locate(self, query: ImageQuery) -> tuple[tuple[str | None, str, str], ...]:
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

    def find(self, image_id: str) -> tuple[Turn, int]:
        """Return the turn of an image, and its position there."""
        ...

    def metadata(self, turn: Turn, position: int) -> dict[str, Any]:
        """Return all that is recorded of an image, as in its sidecar file."""
        ...

    def spending(self, query: SpendingQuery) -> tuple[CostTotals, ...]:
        """Add up the costs of turns."""
        ...


class MarkStore(Protocol):
    """
    The marks of a library's store.
    """

    def of(self, owner: str) -> Marks:
        """Return the marks of a session, a batch, or a standalone turn."""
        ...

    def all(self) -> Mapping[str, Marks]:
        """Return the marks of all that have any, by owner, without those that are damaged."""
        ...

    def change(self, owner: str, ids: Iterable[str], change: Callable[[Mark], Mark]) -> None:
        """Change marks of one owner durably, all at once."""
        ...
