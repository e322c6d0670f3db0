"""
Sessions in a library: their records, found by id or name, and their turns.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterable, Iterator

import attrs

from imagesession._domain.marks import UNMARKED, Marks, without_deleted
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.turn import Turn, is_id
from imagesession._domain.wording import fold, quote
from imagesession._engine.store import SessionActivity
from imagesession._version import __version__
from imagesession.errors import NotFoundError, StorageError

from . import codec
from .ids import first_id, timestamp_of
from .ports import Key
from .records import read_marks, read_session, read_turns
from .view import StorePart

HINTS = 5


class SessionStore(StorePart):
    def save(self, record: SessionRecord) -> None:
        stamped = attrs.evolve(record, version=__version__)
        self.facts.put_new({Key("session", record.id): codec.dump_session(stamped)})

    def update(
        self, session_id: str, change: Callable[[SessionRecord], SessionRecord]
    ) -> SessionRecord:
        with self.facts.transaction(f"session {session_id}"):
            known = self.read(session_id)
            if known is not None:
                changed = attrs.evolve(change(known), version=__version__)
                self.facts.replace(Key("session", session_id), codec.dump_session(changed))
                return changed
        raise self._not_found(session_id)

    def read(self, session_id: str) -> SessionRecord | None:
        record = read_session(self.facts, session_id)
        return record if record is not None and self.sees(record.owner) else None

    def find(self, wanted: str) -> SessionRecord:
        """
        Return a session by its id, or by a name that only one session has.
        """
        record = self.read(wanted) if is_id(wanted) else None
        if record is not None:
            self.check_present(record)
            return record
        named = self.named(wanted)
        if len(named) == 1:
            return named[0]
        raise self._not_found(wanted, named)

    def named(self, name: str) -> tuple[SessionRecord, ...]:
        wanted = fold(name)
        records = self._read_sessions(self.index.sessions(name=name))
        return tuple(record for record in records if fold(record.name or "") == wanted)

    def list(
        self, limit: int | None = None, before: str | None = None, *, deleted: bool = False
    ) -> tuple[SessionRecord, ...]:
        """
        Return the latest sessions, the latest first, that are older than the session `before`:
        those that are not deleted, or in their place those in the bin.
        """
        found: list[SessionRecord] = []
        while limit is None or len(found) < limit:
            missing = None if limit is None else limit - len(found)
            session_ids = self.index.sessions(limit=missing, before=before, deleted=deleted)
            found += self._read_sessions(session_ids)
            if missing is None or len(session_ids) < missing:
                break
            before = session_ids[-1]  # read on to replace damaged ones
        return tuple(found)

    def _read_sessions(self, session_ids: Iterable[str]) -> Iterator[SessionRecord]:
        for session_id in session_ids:
            # A damaged record does not hide the others; opening it by its id reports the damage. A
            # missing one was just deleted.
            with contextlib.suppress(StorageError):
                record = self.read(session_id)
                if record is not None:
                    yield record

    def active(self, since: dt.datetime) -> tuple[SessionActivity, ...]:
        active = self.index.active(first_id(since))
        return tuple(
            SessionActivity(session_id=session_id, last=timestamp_of(last))
            for last, session_id in sorted((last, session_id) for session_id, last in active)
        )

    def count(self) -> int:
        return self.index.count_sessions()

    def activity(self, record: SessionRecord) -> dt.datetime:
        moves = (move.id for move in record.moves.values())
        turns = (key.id for key in self.facts.scan("turn", record.id))
        return max(record.created, timestamp_of(max((*turns, *moves), default="")))

    def tree(self, record: SessionRecord, *, deleted: bool = False) -> Tree:
        """
        Return a session's turns, without what was deleted, or with what is in the bin.

        The records of turns with images change only when they are erased, and marks say that; so
        each is read once. Threads that read the same ones at the same time agree without a lock.
        """
        known = self.state.turns.get(record.id, {})
        new = [key for key in self.facts.scan("turn", record.id) if key.id not in known]
        read = {turn.id: turn for turn in read_turns(self.facts, new)}
        final = {turn_id: turn for turn_id, turn in read.items() if turn.has_image}
        if final:
            self.state.turns[record.id] = {**known, **final}
        marks: Marks = {} if deleted else read_marks(self.facts, record.id)
        turns = (*known.values(), *read.values())
        return Tree(moves=record.moves).with_turn(without_deleted(turn, marks) for turn in turns)

    def forget_turn(self, turn: Turn) -> None:
        self.state.turns.get(turn.session or "", {}).pop(turn.id, None)

    def check_present(self, record: SessionRecord) -> None:
        mark = read_marks(self.facts, record.id).get(record.id, UNMARKED)
        if mark.erased:
            raise NotFoundError(f"Session {record.id} was erased.", record.id)
        if mark.deleted is not None:
            raise NotFoundError(
                f"Session {record.id} is in the bin. Bring it back with "
                f"studio.sessions.restore({record.id!r}).",
                record.id,
            )

    def _not_found(self, key: str, named: tuple[SessionRecord, ...] = ()) -> NotFoundError:
        shown = named[:HINTS] or self.list(limit=HINTS)
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
