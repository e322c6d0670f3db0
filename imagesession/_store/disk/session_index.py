"""
Sessions in the index, by id and by name, and the marks of images and sessions.

The records are authoritative. A row is written together with its record, under the index lock. Then
the folder of the records gets a stamp: a modification time that no later change can give it, which
the index stores. As long as the folder still has that time, the rows are up to date; otherwise the
records whose files have changed are read again. That covers a process that died between record and
row, a record that was restored from a backup, and a new index.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import attrs

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn, is_id
from imagesession._engine.image_queries import ImageQuery
from imagesession._store import codec
from imagesession._store.files.atomic_write import link_into_place, replace_durable, write_temp
from imagesession._store.ports import ImageLocation
from imagesession.errors import StorageError, StorageIOError

from . import index_schema, session_index_schema
from .database import Database
from .layout import Layout
from .session_index_schema import Content

T = TypeVar("T")
_MAX_ATTEMPTS = 5
# Some file systems round times to two seconds. A stamp is further in the past than that, so that a
# change that follows at once gets another time.
_MIN_NS_BACK = 10_000_000_000
_RANDOM_NS_BACK = 3_600_000_000_000


@attrs.define(eq=False)
class _NewSession:
    """
    A session whose record is on the disk under a temporary name.
    """

    record: SessionRecord
    unfinished: Path
    is_named: bool = False
    error: Exception | None = None

    def name(self, file: Path) -> None:
        """
        Give the record its name.
        """
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
# A fork does not write the sessions that other threads of its parent are adding.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_groups.clear)


@attrs.frozen
class SessionIndex:
    """
    The sessions in the index of a library.

    Attributes:
        index: The index.
        layout: The library's folders.
    """

    index: Database
    layout: Layout

    def find_by_name(self, name: str, owner: str | None) -> list[str]:
        """
        Return the ids of the sessions that may have a name, the latest first: those of an owner, or
        all.
        """
        return self._query(
            lambda connection: session_index_schema.find_by_name(connection, name, owner)
        )

    def page_images(
        self, query: ImageQuery, pending: Sequence[Turn], owner: str | None
    ) -> list[ImageLocation]:
        """
        Return the latest images that a query asks for, the newest first.

        Args:
            query: The query; marks tell which images are deleted, starred or tagged.
            pending: Settled turns that are not indexed yet; they are included.
            owner: Only the images of this owner; None for all.
        """
        return self._query(
            lambda connection: index_schema.page(connection, query, owner), pending, waits=False
        )

    def page(
        self, limit: int | None, before: str | None, owner: str | None, *, deleted: bool
    ) -> list[str]:
        """
        Return the ids of the latest sessions, the latest first.

        Args:
            limit: The largest number of sessions; None for all.
            before: Only those older than the session of this id.
            owner: Only those of this owner; None for all.
            deleted: Those in the bin, in place of those that are not deleted.
        """
        return self._query(
            lambda connection: session_index_schema.page(
                connection, limit, before, owner, deleted=deleted
            )
        )

    def count(self, owner: str | None) -> int:
        """
        Return how many sessions there are, or an owner has.
        """
        return self._query(lambda connection: session_index_schema.count(connection, owner))

    def active(
        self, since: str, pending: Sequence[Turn], owner: str | None
    ) -> list[tuple[str, str]]:
        """
        Return the open sessions with a turn or move since an id, each with the id of the latest.

        Args:
            since: The id.
            pending: Settled turns that are not indexed yet; they are included.
            owner: Only those of this owner; None for all.
        """
        return self._query(
            lambda connection: session_index_schema.active(connection, since, owner), pending
        )

    def create(self, session_id: str, data: bytes) -> None:
        """
        Write the record of a new session durably, and its row. If several threads add sessions at
        the same time, the first of them names all.

        Args:
            session_id: The session.
            data: Its record.

        Raises:
            FileExistsError: A session has that id.
        """
        file = self._record_file(session_id)
        record = codec.read_session(data, str(file))
        with write_temp(data, self.layout.tmp) as unfinished:
            if self.index.is_locked_here:  # the group may wait for this thread
                self._write(file.name, record, lambda: link_into_place(unfinished, file))
                return
            group = _groups.setdefault(self.layout.sessions, _Group())
            new = _NewSession(record, unfinished)
            group.waiting.append(new)
            with group.lock:
                if new in group.waiting:
                    self._add_all(group)
            if new.error is not None:
                raise new.error

    def replace(self, session_id: str, data: bytes) -> None:
        """
        Write a session's record durably, and its row.
        """
        file = self._record_file(session_id)
        record = codec.read_session(data, str(file))
        self._write(file.name, record, lambda: replace_durable(file, data, self.layout.tmp))

    def replace_marks(self, owner: str, data: bytes) -> None:
        """
        Write the marks of a session, batch or standalone turn durably, and their rows.
        """
        file = self.layout.marks_file(owner)
        marks = codec.read_marks(data, str(file))
        self._write(file.name, marks, lambda: replace_durable(file, data, self.layout.tmp))

    def drop_marks(self, owner: str) -> None:
        """
        Remove the marks of a session, batch or standalone turn, and their rows.
        """
        file = self.layout.marks_file(owner)
        self._write(file.name, {}, lambda: file.unlink(missing_ok=True))

    def _add_all(self, group: _Group) -> None:
        added = list(group.waiting)
        try:
            with self.index.locked() as connection:
                self._refresh(connection)
                # A record that an interrupted thread has named may have changed since; the refresh
                # has read it.
                new = [item for item in added if not item.is_named]
                for item in new:
                    item.name(self._record_file(item.record.id))
                named = {
                    self._record_file(item.record.id).name: item.record
                    for item in new
                    if item.is_named
                }
                self._record_written(connection, named)
        except (StorageIOError, OSError) as error:
            for item in added:
                if not item.is_named:
                    item.error = item.error or error
        del group.waiting[: len(added)]

    def _write(self, name: str, content: Content, write: Callable[[], None]) -> None:
        """
        Write a record or marks under the index lock, and then their rows.

        If the row cannot be written, the record is there anyway: the folder lacks the stamp, so the
        next query reads the record.
        """
        is_written = False
        try:
            with self.index.locked() as connection:
                self._refresh(connection)
                write()
                is_written = True
                self._record_written(connection, {name: content})
        except (StorageIOError, OSError):
            if not is_written:
                raise

    def _query(
        self,
        work: Callable[[sqlite3.Connection], T],
        pending: Sequence[Turn] = (),
        *,
        waits: bool = True,
    ) -> T:
        """
        Query the index once it is up to date with the sessions' records.

        Args:
            work: The query.
            pending: Settled turns that are not indexed yet; they are included.
            waits: Whether to wait for others that write; otherwise changed records are read into
                memory meanwhile.
        """

        def query(connection: sqlite3.Connection) -> tuple[T] | None:
            return (work(connection),) if self._is_fresh(connection) else None

        for _ in range(_MAX_ATTEMPTS):
            result = self.index.query(query, pending)
            if result is not None:
                return result[0]
            try:
                with self.index.locked(waits=waits) as connection:
                    self._refresh(connection)
            except (StorageIOError, OSError):
                break
        return self._query_pending(work, pending)

    def _query_pending(self, work: Callable[[sqlite3.Connection], T], pending: Sequence[Turn]) -> T:
        """
        Query an index that cannot be written: read changed records into memory for this query.
        """

        def query(connection: sqlite3.Connection) -> T:
            session_index_schema.attach_pending(connection)
            self._index_changed(connection)
            return work(connection)

        return self.index.query(query, pending)

    def _is_fresh(self, connection: sqlite3.Connection) -> bool:
        return session_index_schema.stamp(connection) == self._modified_ns()

    def _record_written(
        self, connection: sqlite3.Connection, written: Mapping[str, Content]
    ) -> None:
        """
        Write the rows of records and marks that were just written, and stamp the folder.

        Args:
            connection: The index.
            written: What was written, by the names of the files; no marks where the file is gone.
        """
        session_index_schema.drop(connection, written)
        for name, content in written.items():
            if content:
                file = _identity((self.layout.sessions / name).stat())
                session_index_schema.put(connection, name, content, file)
        session_index_schema.set_stamp(connection, self._set_stamp())

    def _refresh(self, connection: sqlite3.Connection) -> None:
        """
        Bring all rows up to date with their records, and stamp the folder.
        """
        modified = self._modified_ns()
        if session_index_schema.stamp(connection) == modified:
            return
        self._index_changed(connection)
        # A record that another program added meanwhile may have been missed.
        unchanged = self._modified_ns() == modified
        session_index_schema.set_stamp(connection, self._set_stamp() if unchanged else None)

    def _index_changed(self, connection: sqlite3.Connection) -> None:
        """
        Read the records whose files have changed.
        """
        indexed, present = session_index_schema.files(connection), self._files()
        changed = {name for name, file in present.items() if indexed.get(name) != file}
        session_index_schema.drop(connection, (indexed.keys() - present.keys()) | changed)
        for name in changed:
            session_index_schema.put(connection, name, self._read(name), present[name])

    def _files(self) -> dict[str, str]:
        """
        Return the identity of each file of a session's record or of marks, by its name.
        """
        files: dict[str, str] = {}
        with os.scandir(self.layout.sessions) as entries:
            for entry in entries:
                owner, _, suffix = entry.name.partition(".")
                if suffix in {"json", "marks"} and is_id(owner):
                    with contextlib.suppress(FileNotFoundError):
                        files[entry.name] = _identity(os.stat(entry.path))  # noqa: PTH116 - an entry's own is zero on Windows
        return files

    def _read(self, name: str) -> Content:
        file = self.layout.sessions / name
        read = codec.read_marks if file.suffix == ".marks" else codec.read_session
        with contextlib.suppress(StorageError, OSError):
            return read(file.read_bytes(), str(file))
        return None

    def _record_file(self, session_id: str) -> Path:
        return self.layout.session_file(session_id)

    def _modified_ns(self) -> int:
        return self.layout.sessions.stat().st_mtime_ns

    def _set_stamp(self) -> int:
        """
        Set the folder's modification time to one that no other change gives it, and return it.

        The system's own times do not suffice: changes within some milliseconds get the same one.
        """
        stamp = time.time_ns() - _MIN_NS_BACK - secrets.randbelow(_RANDOM_NS_BACK)
        with contextlib.suppress(OSError):
            os.utime(self.layout.sessions, ns=(stamp, stamp))
        return self._modified_ns()


def _identity(status: os.stat_result) -> str:
    return f"{status.st_ino} {status.st_mtime_ns}"
