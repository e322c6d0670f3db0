"""
Sessions in a library: their records, found by id or name, and their turns.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Callable, Iterable, Iterator

import attrs

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.wording import quote
from imagesession._engine.store import SessionActivity
from imagesession._version import __version__
from imagesession.errors import NotFoundError, StorageError

from . import codec
from .atomic_write import replace_durable, translate_os_errors, write_temp
from .base import StoreBase
from .ids import first_id, is_id, timestamp_of

HINTS = 5


class SessionStore(StoreBase):
    """
    The part of a library that stores sessions.
    """

    def save_session(self, record: SessionRecord) -> None:
        """
        Write a new session's record durably.
        """
        file = self.layout.session_file(record.id)
        stamped = attrs.evolve(record, version=__version__)
        with (
            translate_os_errors(file),
            write_temp(codec.dump_session(stamped), self.layout.tmp) as unfinished,
        ):
            self._session_index.add(stamped, unfinished)

    def update_session(
        self, session_id: str, change: Callable[[SessionRecord], SessionRecord]
    ) -> SessionRecord:
        """
        Change a session's record durably, under the index lock.

        Raises:
            NotFoundError: There is no such session.
        """
        file = self.layout.session_file(session_id)

        def write(_: object) -> SessionRecord:
            known = codec.read_session(file.read_bytes(), str(file))
            changed = attrs.evolve(change(known), version=__version__)
            replace_durable(file, codec.dump_session(changed), self.layout.tmp)
            return changed

        with translate_os_errors(file):
            if not file.exists():
                raise self._not_found(session_id)
            return self._session_index.write(write)

    def find_session(self, wanted: str) -> SessionRecord:
        """
        Return a session by its id, or by a name that only one session has.

        Raises:
            NotFoundError: There is no such session, or more than one.
        """
        if is_id(wanted):
            file = self.layout.session_file(wanted)
            with translate_os_errors(file):
                data = file.read_bytes() if file.exists() else None
            if data is not None:
                return codec.read_session(data, str(file))
        named = self.sessions_named(wanted)
        if len(named) == 1:
            return named[0]
        raise self._not_found(wanted, named)

    def sessions_named(self, name: str) -> tuple[SessionRecord, ...]:
        """
        Return the sessions that have a name, the latest first.
        """
        with translate_os_errors(self.layout.sessions):
            return tuple(
                record
                for record in self._read_sessions(self._session_index.find_by_name(name))
                if record.name == name
            )

    def list_sessions(
        self, limit: int | None = None, before: str | None = None
    ) -> tuple[SessionRecord, ...]:
        """
        Return the latest sessions, the latest first.

        Args:
            limit: The largest number of sessions; None for all.
            before: Only those older than the session of this id.
        """
        found: list[SessionRecord] = []
        with translate_os_errors(self.layout.sessions):
            while limit is None or len(found) < limit:
                missing = None if limit is None else limit - len(found)
                session_ids = self._session_index.page(missing, before)
                found += self._read_sessions(session_ids)
                if missing is None or len(session_ids) < missing:
                    break
                before = session_ids[-1]  # read on to replace damaged ones
        return tuple(found)

    def _read_sessions(self, session_ids: Iterable[str]) -> Iterator[SessionRecord]:
        for file in map(self.layout.session_file, session_ids):
            # A damaged record does not hide the others; opening it by its id reports the damage. A
            # missing one was just deleted.
            with contextlib.suppress(StorageError, FileNotFoundError):
                yield codec.read_session(file.read_bytes(), str(file))

    def active_sessions(self, since: dt.datetime) -> tuple[SessionActivity, ...]:
        """
        Return the open sessions with a turn or move since a time, the longest idle first.
        """
        with translate_os_errors(self.layout.sessions):
            active = self._session_index.active(first_id(since), self._refresh_index())
        return tuple(
            SessionActivity(session_id=session_id, last=timestamp_of(last))
            for last, session_id in sorted((last, session_id) for session_id, last in active)
        )

    def count_sessions(self) -> int:
        """
        Return how many sessions there are.
        """
        with translate_os_errors(self.layout.sessions):
            return self._session_index.count()

    def activity(self, record: SessionRecord) -> dt.datetime:
        """
        Return the time of a session's latest turn or move, or of its creation.
        """
        moves = (move.id for move in record.moves.values())
        latest = max((self._last_turn(record.id), *moves))
        return max(record.created, timestamp_of(latest))

    def _last_turn(self, session_id: str) -> str:
        """
        Return the id of a session's latest turn, from its record's name; empty if there is none.
        """
        try:
            names = os.listdir(self.layout.turns / session_id)  # noqa: PTH208 - names will do
        except FileNotFoundError:
            return ""
        return max(names, default="").partition(".")[0]

    def tree(self, record: SessionRecord) -> Tree:
        """
        Return a session's turns. Turns' records never change, so each is read once.
        """
        folder = self.layout.turns / record.id
        with self._lock, translate_os_errors(folder):
            known = self._turns.setdefault(record.id, {})
            for name in os.listdir(folder) if folder.exists() else ():  # noqa: PTH208 - names will do
                turn_id, _, suffix = name.partition(".")
                if suffix == "json" and turn_id not in known:
                    known[turn_id] = self._read_turn(record.id, turn_id)
            turns = tuple(known.values())
        return Tree(moves=record.moves).with_turn(turns)

    def _not_found(self, key: str, named: tuple[SessionRecord, ...] = ()) -> NotFoundError:
        shown = named[:HINTS] or self.list_sessions(limit=HINTS)
        listed = ", ".join(
            f"{record.id} ({record.name or record.description[:40]})" for record in shown
        )
        problem = (
            f"{len(named)} sessions are called {quote(key)}; open one by its id"
            if named
            else f"This library has no session {quote(key)}. Its latest are"
        )
        ids = tuple(record.id for record in shown)
        return NotFoundError(f"{problem}: {listed or 'none yet'}.", key, ids)
