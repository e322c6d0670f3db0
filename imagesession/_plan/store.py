"""
What flows ask of a library, wherever it keeps things.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from typing import Protocol, TypeAlias

import attrs

from imagesession._model.pictures import PictureFacts
from imagesession._model.sessions import SessionRecord
from imagesession._model.tree import Tree
from imagesession._model.turns import ImageRecord, Turn

from .wire import Received

Source: TypeAlias = "str | os.PathLike[str] | bytes | ImageRecord | object"
"""Where a reference comes from: a path, bytes, a picture of the library, or a PIL image."""


@attrs.frozen(kw_only=True)
class Fetched:
    """
    A picture that is ready to be sent along.

    Attributes:
        data: Its bytes, in a format that the wire takes.
        facts: What its header says.
        sha256: Of its bytes, in hexadecimal.
        image_id: Its id, when it is a picture of the library.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    facts: PictureFacts
    sha256: str
    image_id: str | None = None


@attrs.frozen(kw_only=True)
class Begun:
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
        limit: At most so many.
        before: Only those older than the picture of this id.
    """

    session: str | None = None
    limit: int = 50
    before: str | None = None


class Store(Protocol):
    """
    What a library does; the only part of the program that knows where things are kept.
    """

    def begin(self, after: str = "") -> Begun:
        """Give out the time and an id, greater than one that is there already."""
        ...

    def intend(self, turn: Turn) -> None:
        """Write down durably what is about to be asked, if there is room for what will come."""
        ...

    def note(self, turn: Turn, response_id: str) -> None:
        """Write down durably the provider's id of what was asked."""
        ...

    def forget(self, turn: Turn) -> None:
        """Drop an intent that the provider did not take up."""
        ...

    def commit(self, turn: Turn, pictures: tuple[Received, ...]) -> Turn:
        """Write pictures and turn durably, in this order, and return the turn with its images."""
        ...

    def spill(self, turn_id: str, body: bytes) -> str:
        """Keep a reply that was paid for and could not be read; return where."""
        ...

    def fetch(self, source: Source) -> Fetched:
        """Read a reference picture, wherever it is."""
        ...

    def still(self, image: ImageRecord) -> Fetched | None:
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

    def list_sessions(self) -> tuple[SessionRecord, ...]:
        """Return all sessions, the latest first."""
        ...

    def list_images(self, query: ImageQuery) -> tuple[tuple[Turn, int], ...]:
        """Return turns with the position of a picture in each."""
        ...

    def find_image(self, image_id: str) -> tuple[Turn, int]:
        """Return the turn of a picture, and its position there."""
        ...
