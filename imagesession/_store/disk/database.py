"""
The database of the index: SQLite, disposable, rebuilt from the records. Where it cannot be written,
one in memory answers.

Each operation opens its own connection, which costs 0.2 ms. So no connection is shared between
threads, left open across a fork, or blocks another process with an open cursor.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import attrs

from imagesession._domain.turn import Turn, is_id
from imagesession._engine.image_queries import CostTotals, SpendingQuery
from imagesession._store.files.atomic_write import check_writable
from imagesession._store.files.modes import mode_within
from imagesession._store.ports import ImageLocation
from imagesession.errors import StorageIOError

from . import index_schema
from .locks import ForkGate, exclusive, shared

INDEX_VERSION = 8
BUSY_SECONDS = 30.0
_MAX_ATTEMPTS = 5
T = TypeVar("T")
_BY_ENDING = "WHERE substr(id, -8) = substr(?1, -8) AND substr(id, -length(?1)) = ?1"
FULL_CHECK_MAX_BYTES = 8_000_000
"""The largest index in bytes that is checked in full, which takes 75 ms."""
# Errors of the environment, not of the index itself: https://sqlite.org/rescode.html.
_ENVIRONMENT_ERRORS = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)


@attrs.frozen
class Database:
    """
    The index of one library.

    Attributes:
        path: The database.
        scan: Reads all turns from the records, to rebuild the index.
        records: The folder of the folders with these records; without it, nothing is answered from
            memory.
    """

    path: Path
    scan: Callable[[], Iterable[Turn]]
    records: Path | None = None
    _thread: threading.local = attrs.field(
        factory=threading.local, init=False, repr=False, eq=False
    )
    _checked: list[Path] = attrs.field(factory=list[Path], init=False, repr=False, eq=False)

    _memory: dict[Path, tuple[object, bytes]] = attrs.field(
        factory=dict[Path, tuple[object, bytes]], init=False, repr=False, eq=False
    )

    def open_or_rebuild(self) -> None:
        """
        Make sure that there is a usable index.
        """
        self._run(lambda _: None)

    def force_rebuild(self) -> None:
        """
        Rebuild the index, because it contradicts the records.
        """

        def invalidate(connection: sqlite3.Connection) -> None:
            connection.execute("PRAGMA user_version = 0")

        self._run(invalidate)
        self.open_or_rebuild()

    def add(self, turns: Sequence[Turn], is_unindexed: Callable[[Turn], bool]) -> None:
        """
        Add turns and their images.

        Args:
            turns: The turns.
            is_unindexed: Tells, within the lock, whether a turn has not been added by another
                program, which may have replaced its record since.
        """

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            index_schema.insert(connection, filter(is_unindexed, turns))
            connection.execute("COMMIT")

        with _thread_lock(self.path):
            self._run(insert)

    def find(
        self, image_id: str, pending: Sequence[Turn] = (), owner: str | None = None
    ) -> ImageLocation | None:
        """
        Return where an image's record is; None if there is none, or if several ids end so.

        Args:
            image_id: The image's id, or at least the last eight characters of it.
            pending: Settled turns that are not indexed yet; they are included.
            owner: Only among the images of this owner; None for all.
        """
        clause = "WHERE id = ?1" if is_id(image_id) else _BY_ENDING
        clause += " AND (?2 IS NULL OR owner = ?2) LIMIT 2"
        found = self.query(
            lambda connection: index_schema.locations(connection, clause, (image_id, owner)),
            pending,
        )
        return found[0] if len(found) == 1 else None

    def sum_costs(
        self, query: SpendingQuery, pending: Sequence[Turn] = (), owner: str | None = None
    ) -> list[CostTotals]:
        """
        Sum the costs of turns by group: those of an owner, or all.
        """
        return self.query(lambda connection: index_schema.tally(connection, query, owner), pending)

    @property
    def is_locked_here(self) -> bool:
        """
        Whether this thread has locked the library.
        """
        return self._locked_by_thread() is not None

    def _locked_by_thread(self) -> sqlite3.Connection | None:
        return getattr(self._thread, "connection", None)

    @contextlib.contextmanager
    def locked(self, *, waits: bool = True) -> Generator[sqlite3.Connection, None, None]:
        """
        Lock the library against changes by all other threads and processes. Within the block, this
        thread may lock it again.

        Args:
            waits: Whether to wait for others that have locked it; otherwise that is an error.

        Raises:
            StorageIOError: It cannot be locked.
        """
        outer = self._locked_by_thread()
        if outer is not None:
            with _index_errors(self.path):
                yield outer
            return
        self.open_or_rebuild()
        with (
            _held(_thread_lock(self.path), waits=waits),
            _index_errors(self.path),
            self._connected() as connection,
        ):
            if not waits:
                connection.execute("PRAGMA busy_timeout = 0")
            connection.execute("BEGIN IMMEDIATE")
            self._thread.connection = connection
            try:
                # Another process may have deleted the index since.
                self._rebuild_if_outdated(connection)
                yield connection
            except BaseException as error:
                if isinstance(error, (sqlite3.DatabaseError, StorageIOError)):
                    self._checked.clear()  # so that the next operation checks it again
                with contextlib.suppress(sqlite3.Error):  # some errors roll back by themselves
                    connection.execute("ROLLBACK")
                raise
            finally:
                self._thread.connection = None
            connection.execute("COMMIT")

    def query(self, work: Callable[[sqlite3.Connection], T], pending: Sequence[Turn]) -> T:
        """
        Query the index and turns that are not indexed yet. Nothing is written, so this does not
        wait for a lock; indexing them would flush the disk four times.

        Args:
            work: Queries the index through its connection.
            pending: The turns that are not indexed yet.
        """

        def query_all(connection: sqlite3.Connection) -> T:
            index_schema.attach_pending(connection, pending)
            return work(connection)

        operation = query_all if pending else work
        try:
            return self._run(operation)
        except (StorageIOError, OSError) as error:
            if self.is_locked_here or self.records is None:
                raise
            try:
                return self._query_in_memory(operation, self.records)
            except OSError:
                raise error from None  # records cannot be read either

    def _query_in_memory(self, work: Callable[[sqlite3.Connection], T], records: Path) -> T:
        """
        Query a copy of the index in memory, because the one on the disk is missing or outdated and
        cannot be written: the disk may be read-only or full, or the library another user's.
        """
        state = tuple(_folder_times(records))
        with (
            _sqlite.calling(),
            contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection,
        ):
            known = self._memory.get(self.path)
            if known is not None and known[0] == state:
                connection.deserialize(known[1])
            else:
                index_schema.create_tables(connection)
                index_schema.insert(connection, self.scan())
                self._memory[self.path] = state, connection.serialize()
            return work(connection)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """
        Run an operation on the index; if the index is damaged, rebuild it and try again.
        """
        locked = self._locked_by_thread()
        if locked is not None:
            with _index_errors(self.path):
                return work(locked)
        for _ in range(_MAX_ATTEMPTS):
            identity = self._identity()
            try:
                return self._attempt(work)
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                # Another process may have deleted or rebuilt it meanwhile.
                if self._identity() == identity and not _is_broken(error):
                    raise StorageIOError(
                        f"The library's index {self.path} cannot be used: {error}."
                    ) from error
                self._delete_damaged(identity)
        with _index_errors(self.path):
            return self._attempt(work)

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_ctime_ns

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._connected() as connection:
            if _version(connection) != INDEX_VERSION:
                self._rebuild(connection)
            self._check_integrity(connection)
            return work(connection)

    def _check_integrity(self, connection: sqlite3.Connection) -> None:
        """
        Check once for damage that would go unnoticed, and each time whether the end is missing, for
        which SQLite reads zeros. A large index gets the quick check: the full one takes ten times
        as long, half a second for 100,000 images.
        """
        pages, size = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "page_size")
        )
        try:
            size_on_disk = self.path.stat().st_size
        except FileNotFoundError:
            raise _DamagedError("it is gone") from None
        if size_on_disk < pages * size:
            raise _DamagedError("its end is missing")
        if self._checked:
            return
        check = "integrity_check" if size_on_disk <= FULL_CHECK_MAX_BYTES else "quick_check"
        verdict = connection.execute(f"PRAGMA {check}(1)").fetchone()
        if verdict != ("ok",):
            raise _DamagedError(str(verdict))
        self._checked.append(self.path)

    def _rebuild(self, connection: sqlite3.Connection) -> None:
        """
        Index all records in one transaction; turns that are settled meanwhile are added later.
        """
        connection.execute("BEGIN IMMEDIATE")
        self._rebuild_if_outdated(connection)
        connection.execute("COMMIT")

    def _rebuild_if_outdated(self, connection: sqlite3.Connection) -> None:
        if _version(connection) == INDEX_VERSION:
            return
        index_schema.create_tables(connection)
        index_schema.insert(connection, self.scan())
        connection.execute(f"PRAGMA user_version = {INDEX_VERSION}")

    def _delete_damaged(self, identity: tuple[int, int] | None) -> None:
        """
        Delete a damaged index, unless it has changed since or another process has it open: that
        process would keep a lock on the deleted file, and its rollback journal would be mistaken
        for that of the new index.
        """
        with exclusive(self._lock_file) as alone:
            if alone and self._identity() == identity:
                for suffix in ("", "-journal"):
                    Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    @property
    def _lock_file(self) -> Path:
        return self.path.with_suffix(".lock")

    @contextlib.contextmanager
    def _connected(self) -> Generator[sqlite3.Connection, None, None]:
        with _sqlite.calling(), shared(self._lock_file):
            connection = self._connect()
            try:
                yield connection
            finally:
                connection.close()

    def _connect(self) -> sqlite3.Connection:
        """
        Open the index, and create an empty one if there is none.

        SQLite has to create the file: if we opened and closed it, the system would release the
        locks of other threads on it. https://sqlite.org/howtocorrupt.html, 2.2
        """
        missing = not self.path.exists()
        if missing:
            check_writable(self.path.parent)
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            if missing:
                self.path.chmod(mode_within(self.path.parent))
            # Before SQLite 3.51.3, WAL can lose commits of two processes; so a rollback journal.
            # https://sqlite.org/releaselog/3_51_3.html
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA trusted_schema = OFF")
            # What is erased is overwritten: https://sqlite.org/pragma.html#pragma_secure_delete
            connection.execute("PRAGMA secure_delete = ON")
        except BaseException:
            connection.close()
            raise
        return connection


_sqlite = ForkGate()
_thread_locks: dict[Path, threading.Lock] = {}
# In a fork, locks that other threads of the parent hold would never be released.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_thread_locks.clear)


def _thread_lock(path: Path) -> threading.Lock:
    """
    Return the lock by which the threads of this process change an index one at a time. They queue
    for it; SQLite alone would let them poll at ever longer intervals.
    """
    return _thread_locks.setdefault(path, threading.Lock())


@contextlib.contextmanager
def _held(lock: threading.Lock, *, waits: bool) -> Generator[None, None, None]:
    if not lock.acquire(blocking=waits):
        raise StorageIOError("Another thread of this program changes the library.")
    try:
        yield
    finally:
        lock.release()


def _folder_times(folder: Path) -> Iterator[tuple[str, int]]:
    """
    Yield when each folder of records was last changed, as each new record does.
    """
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            yield entry.name, entry.stat().st_mtime_ns


class _DamagedError(sqlite3.DatabaseError):
    """
    The index can be read but fails its integrity check.
    """


def _is_broken(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF not in _ENVIRONMENT_ERRORS


@contextlib.contextmanager
def _index_errors(path: Path) -> Generator[None, None, None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StorageIOError(f"The library's index {path} cannot be used: {error}.") from error


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
