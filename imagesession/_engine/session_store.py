"""
The part of a store's interface that keeps sessions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import attrs

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree

if TYPE_CHECKING:
    pass


@attrs.frozen(kw_only=True)
class SessionActivity:
    """
    The time of a session's last activity.
    """

    session_id: str
    last: dt.datetime


class SessionStore(Protocol):
    """
    The sessions of a library's store.
    """

    def save(self, record: SessionRecord) -> None:
        """Write a new session's record durably."""
        ...

    def update(
        self, session_id: str, change: Callable[[SessionRecord], SessionRecord]
    ) -> SessionRecord:
        """Change a session's record durably, without interference by other processes."""
        ...

    def find(self, wanted: str) -> SessionRecord:
        """Return a session by its id, or by a name that only one session has."""
        ...

    def tree(self, record: SessionRecord, *, deleted: bool = False) -> Tree:
        """Return a session's turns, without what was deleted, or with what is in the bin."""
        ...

    def named(self, name: str) -> tuple[SessionRecord, ...]:
        """
        Return the sessions with this name, in whichever case and Unicode composition, the latest
        first.
        """
        ...

    def list(
        self, limit: int | None = None, before: str | None = None, *, deleted: bool = False
    ) -> tuple[SessionRecord, ...]:
        """
        Return sessions, the latest first: at most `limit`, and only those older than the session
        with the id `before`; with `deleted`, those in the bin.
        """
        ...

    def activity(self, record: SessionRecord) -> dt.datetime:
        """Return the time of a session's latest turn or move, or of its creation."""
        ...

    def count(self) -> int:
        """Return how many sessions are not deleted."""
        ...

    def active(self, since: dt.datetime) -> tuple[SessionActivity, ...]:
        """Return the open sessions with a turn or move since a time, the longest idle first."""
        ...


class ExportStore(Protocol):
    """
    The exports and imports of a library's store.
    """

    def export_session(self, session_id: str, path: object) -> tuple[str, tuple[str, ...]]:
        """Export a session into a new folder or zip file; return its path, and what is missing."""
        ...

    def import_session(self, path: object) -> SessionRecord:
        """Import an exported session unchanged."""
        ...
