"""
Sessions in a library: their records, found by id or name, and the turns that grew in them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import attrs

from imagesession._model.sessions import SessionRecord
from imagesession._model.tree import Tree
from imagesession._plan.store import Activity
from imagesession._version import __version__
from imagesession.errors import LibraryError, NotFoundError

from . import records
from .durable import disk_errors, replace, write_new
from .foundation import Foundation
from .ids import is_id, moment_of

HINTS = 5


class SessionKeeping(Foundation):
    """
    The part of a library that keeps sessions.
    """

    def save_session(self, record: SessionRecord) -> None:
        """
        Write a new session's record durably.
        """
        file = self.layout.session_file(record.id)
        with disk_errors(file):
            fresh = attrs.evolve(record, version=__version__)
            write_new(file, records.dump_session(fresh), self.layout.tmp)

    def update_session(
        self, session_id: str, change: Callable[[SessionRecord], SessionRecord]
    ) -> SessionRecord:
        """
        Change a session's record durably, with no other process in between.
        """
        file = self.layout.session_file(session_id)
        with disk_errors(file), self._index.locked():
            changed = attrs.evolve(change(self.find_session(session_id)), version=__version__)
            replace(file, records.dump_session(changed), self.layout.tmp)
        return changed

    def find_session(self, wanted: str) -> SessionRecord:
        """
        Return a session by its id, or by a name that only one session has.

        Raises:
            NotFoundError: There is none, or more than one of that name.
        """
        if is_id(wanted):
            file = self.layout.session_file(wanted)
            with disk_errors(file):
                data = file.read_bytes() if file.exists() else None
            if data is not None:
                return records.read_session(data, str(file))
        sessions = self.list_sessions()
        named = [record for record in sessions if record.name == wanted]
        if len(named) == 1:
            return named[0]
        raise _not_found(wanted, named, sessions)

    def list_sessions(self) -> tuple[SessionRecord, ...]:
        """
        Return all sessions, the latest first.
        """
        with disk_errors(self.layout.sessions):
            files = sorted(self.layout.sessions.glob("*.json"), reverse=True)
            return tuple(self._read_sessions(files))

    def _read_sessions(self, files: Iterable[Path]) -> Iterable[SessionRecord]:
        for file in files:
            # One that is damaged does not hide the others; opening it by its id names it.
            with contextlib.suppress(LibraryError):
                yield records.read_session(file.read_bytes(), str(file))

    def active_sessions(self, since: dt.datetime) -> tuple[Activity, ...]:
        """
        Return the open sessions in which something happened since, the idlest first.
        """
        with disk_errors(self.layout.sessions):
            files = self.layout.sessions.glob("*.json")
            # Most sessions of a library are old; only those that may be active are opened.
            recent = [file for file in files if self._last_touched(file) >= since]
            found = [
                Activity(record=record, last=self.activity(record))
                for record in self._read_sessions(recent)
                if record.closed is None
            ]
        active = (one for one in found if one.last >= since)
        return tuple(sorted(active, key=lambda one: (one.last, one.record.id)))

    def count_sessions(self) -> int:
        """
        Return how many sessions there are.
        """
        with disk_errors(self.layout.sessions):
            return sum(name.endswith(".json") for name in os.listdir(self.layout.sessions))  # noqa: PTH208 - names will do

    def _last_touched(self, file: Path) -> dt.datetime:
        """
        Return the latest time at which a session may have been changed.
        """
        written = dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC)
        return max(written, moment_of(self._last_turn(file.stem)))

    def activity(self, record: SessionRecord) -> dt.datetime:
        """
        Return when something last happened in a session.
        """
        moves = (move.id for move in record.moves.values())
        latest = max((self._last_turn(record.id), *moves))
        return max(record.created, moment_of(latest))

    def _last_turn(self, session_id: str) -> str:
        """
        Return the id of a session's latest turn, by the name of its record; empty if none.
        """
        try:
            names = os.listdir(self.layout.turns / session_id)  # noqa: PTH208 - names will do
        except FileNotFoundError:
            return ""
        return max(names, default="").partition(".")[0]

    def tree(self, record: SessionRecord) -> Tree:
        """
        Return a session's turns. Records never change, so each is read once.
        """
        folder = self.layout.turns / record.id
        with self._lock, disk_errors(folder):
            known = self._turns.setdefault(record.id, {})
            for name in os.listdir(folder) if folder.exists() else ():  # noqa: PTH208 - names will do
                turn_id, _, suffix = name.partition(".")
                if suffix == "json" and turn_id not in known:
                    known[turn_id] = self._read_turn(record.id, turn_id)
            turns = tuple(known.values())
        return Tree(moves=record.moves).plus(turns)


def _not_found(
    wanted: str, named: list[SessionRecord], sessions: tuple[SessionRecord, ...]
) -> NotFoundError:
    chosen = (named or sessions)[:HINTS]
    listed = ", ".join(
        f"{record.id} ({record.name or record.description[:40]})" for record in chosen
    )
    problem = (
        f"{len(named)} sessions are called {wanted!r}; open one by its id"
        if named
        else f"This library has no session {wanted!r}. Its latest are"
    )
    known = tuple(record.id for record in chosen)
    return NotFoundError(f"{problem}: {listed or 'none yet'}.", wanted, known)
