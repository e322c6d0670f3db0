"""
Sessions in the index, by id and by name.

Their records are the truth. A row is written in the step that writes its record, while no other
process changes a session, and the index then notes a stamp: a time of change that it gives the
folder of the records, and that no later change can give it. So rows are believed as long as the
folder still bears that time; else those records are read whose files are not the ones that were
read before. That covers a process that died between record and row, a record that was put back
from a backup, and an index that was just made.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import attrs

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn
from imagesession.errors import StorageError, StorageIOError

from . import codec, session_index_schema
from .atomic_write import link_into_place
from .ids import is_id
from .index import Index

T = TypeVar("T")
_TRIES = 5
# Some file systems round times to two seconds. A stamp lies further back than that, so that no
# change that follows at once bears the same time.
_LEAST_NS_BACK = 10_000_000_000
_MORE_NS_BACK = 3_600_000_000_000


@attrs.define(eq=False)
class _NewSession:
    """
    A session whose record is on the disk, but not under its name yet.
    """

    record: SessionRecord
    unfinished: Path
    is_named: bool = False
    error: Exception | None = None

    def name(self, file: Path) -> None:
        """
        Give the record its name, unless a thread that was interrupted then has done so.
        """
        if self.is_named:
            return
        try:
            link_into_place(self.unfinished, file)
            self.is_named = True
        except OSError as error:
            self.error = error


@attrs.define(eq=False)
class _Group:
    """
    The new sessions of this process that wait for the index.
    """

    lock: threading.Lock = attrs.field(factory=threading.Lock)
    waiting: list[_NewSession] = attrs.field(factory=list[_NewSession])


_groups: dict[Path, _Group] = {}
# A fork has no part in what other threads of its parent are writing.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_groups.clear)


@attrs.frozen
class SessionIndex:
    """
    What the index of a library says of its sessions.

    Attributes:
        index: The index.
        folder: The folder of the sessions' records.
    """

    index: Index
    folder: Path

    def find_by_name(self, name: str) -> list[str]:
        """
        Return the ids of the sessions that may have a name, the latest first.
        """
        return self._query(lambda connection: session_index_schema.find_by_name(connection, name))

    def page(self, limit: int | None, before: str | None) -> list[str]:
        """
        Return the ids of the latest sessions, the latest first.

        Args:
            limit: At most so many; None for all.
            before: Only those older than the session of this id.
        """
        return self._query(lambda connection: session_index_schema.page(connection, limit, before))

    def count(self) -> int:
        """
        Return how many sessions there are.
        """
        return self._query(session_index_schema.count)

    def active(self, since: str, beside: Sequence[Turn]) -> list[tuple[str, str]]:
        """
        Return the open sessions in which something happened since an id was made, each with the id
        of what happened last.

        Args:
            since: The id.
            beside: Turns that count as if they had been taken in.
        """
        return self._query(
            lambda connection: session_index_schema.active(connection, since), beside
        )

    def add(self, record: SessionRecord, unfinished: Path) -> None:
        """
        Give the record of a new session its name, and write its row. What several threads add at
        the same time is written together, by the first of them.

        Args:
            record: The session.
            unfinished: Where its record lies.

        Raises:
            FileExistsError: There is a session of that id.
        """
        group = _groups.setdefault(self.folder, _Group())
        own = _NewSession(record, unfinished)
        group.waiting.append(own)
        with group.lock:
            try:
                if own in group.waiting:
                    self._add_all(group)
            finally:
                if own in group.waiting:  # interrupted: by the next time its record may be another
                    group.waiting.remove(own)
        if own.error is not None:
            raise own.error

    def _add_all(self, group: _Group) -> None:
        added = list(group.waiting)
        try:
            with self.index.locked() as connection:
                self._refresh(connection)
                for item in added:
                    item.name(self._file(item.record.id))
                self._record_written(connection, [item.record for item in added if item.is_named])
        except (StorageIOError, OSError) as error:
            for item in added:
                if not item.is_named:
                    item.error = item.error or error
        del group.waiting[: len(added)]

    def write(self, work: Callable[[sqlite3.Connection], SessionRecord]) -> SessionRecord:
        """
        Change a session's record while no other process changes the library, and then its row.

        That the row could not be written does not undo that the record is there: the folder lacks
        the stamp, and so the record is found.

        Args:
            work: Writes the record durably, and returns it.
        """
        written: list[SessionRecord] = []
        try:
            with self.index.locked() as connection:
                self._refresh(connection)
                written.append(work(connection))
                self._record_written(connection, written)
        except (StorageIOError, OSError):
            if not written:
                raise
        return written[0]

    def _query(self, work: Callable[[sqlite3.Connection], T], beside: Sequence[Turn] = ()) -> T:
        """
        Look something up once the index has all sessions.
        """

        def look(connection: sqlite3.Connection) -> tuple[T] | None:
            return (work(connection),) if self._is_fresh(connection) else None

        for _ in range(_TRIES):
            answer = self.index.look(look, beside)
            if answer is not None:
                return answer[0]
            try:
                with self.index.locked() as connection:
                    self._refresh(connection)
            except StorageIOError:
                break
        return self._query_pending(work, beside)

    def _query_pending(self, work: Callable[[sqlite3.Connection], T], beside: Sequence[Turn]) -> T:
        """
        Look something up where the index cannot be written: read all records, for this once.
        """

        def look(connection: sqlite3.Connection) -> T:
            session_index_schema.attach_pending(connection)
            self._index_changed(connection)
            return work(connection)

        return self.index.look(look, beside)

    def _is_fresh(self, connection: sqlite3.Connection) -> bool:
        return session_index_schema.stamp(connection) == self._changed()

    def _record_written(
        self, connection: sqlite3.Connection, written: Iterable[SessionRecord]
    ) -> None:
        """
        Write the rows of sessions whose records were written just now, and stamp the folder.
        """
        for record in written:
            file = _identity(self._file(record.id).stat())
            session_index_schema.put(connection, record.id, record, file)
        session_index_schema.set_stamp(connection, self._stamp())

    def _refresh(self, connection: sqlite3.Connection) -> None:
        """
        Bring all rows up to date with their records, and stamp the folder.
        """
        changed = self._changed()
        if session_index_schema.stamp(connection) == changed:
            return
        self._index_changed(connection)
        # What was put there by hand meanwhile may have been missed.
        unchanged = self._changed() == changed
        session_index_schema.set_stamp(connection, self._stamp() if unchanged else None)

    def _index_changed(self, connection: sqlite3.Connection) -> None:
        """
        Read those records whose files are not the ones that were read before.
        """
        known, found = session_index_schema.files(connection), self._files()
        session_index_schema.drop(connection, known.keys() - found.keys())
        for session_id, file in found.items():
            if known.get(session_id) != file:
                session_index_schema.put(connection, session_id, self._read(session_id), file)

    def _files(self) -> dict[str, str]:
        """
        Return what tells each session's file from any other, by the session's id.
        """
        files: dict[str, str] = {}
        with os.scandir(self.folder) as entries:
            for entry in entries:
                session_id, _, suffix = entry.name.partition(".")
                if suffix == "json" and is_id(session_id):
                    with contextlib.suppress(FileNotFoundError):
                        files[session_id] = _identity(os.stat(entry.path))  # noqa: PTH116 - an entry's own is zero on Windows
        return files

    def _read(self, session_id: str) -> SessionRecord | None:
        file = self._file(session_id)
        with contextlib.suppress(StorageError, OSError):
            return codec.read_session(file.read_bytes(), str(file))
        return None

    def _file(self, session_id: str) -> Path:
        return self.folder / f"{session_id}.json"

    def _changed(self) -> int:
        return self.folder.stat().st_mtime_ns

    def _stamp(self) -> int:
        """
        Give the folder a time of change that it never had, and that no later change can give it.

        The system's own times will not do: changes that follow each other within some milliseconds
        bear the same one.
        """
        stamp = time.time_ns() - _LEAST_NS_BACK - secrets.randbelow(_MORE_NS_BACK)
        with contextlib.suppress(OSError):
            os.utime(self.folder, ns=(stamp, stamp))
        return self._changed()


def _identity(status: os.stat_result) -> str:
    return f"{status.st_ino} {status.st_mtime_ns}"
