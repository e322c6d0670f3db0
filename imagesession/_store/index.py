"""
The index of turns, pictures and sessions: SQLite, disposable, rebuilt from the records.

A connection lives for one operation. That costs a fifth of a millisecond, and nothing is shared
between threads, left open across a fork, or holds a cursor that would block another process.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import attrs

from imagesession._domain.turn import Turn
from imagesession._engine.store import CostTotals, ImageQuery, SpendingQuery
from imagesession.errors import StorageIOError

from . import index_schema
from .atomic_write import PRIVATE_FILE, check_writable
from .ids import first_id
from .process_locks import exclusive, shared

INDEX_VERSION = 4
BUSY_SECONDS = 30.0
_TRIES = 5
T = TypeVar("T")
SMALL = 8_000_000
"""Bytes up to which an index is looked through in full: 75 ms."""
# What is wrong is around the index and not in it: https://sqlite.org/rescode.html.
_AROUND_IT = frozenset(
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
class ImageLocation:
    """
    Where the record of a picture is found.

    Attributes:
        image: The picture's id.
        turn: Its turn's id.
        session: Its session's id; None for a one-shot.
        position: Its place among the turn's pictures.
    """

    image: str
    turn: str
    session: str | None
    position: int


@attrs.frozen
class Index:
    """
    The index of one library.

    Attributes:
        path: The database.
        scan: Reads all turns from the records, for building it anew.
    """

    path: Path
    scan: Callable[[], Iterable[Turn]]
    _looked_through: list[Path] = attrs.field(factory=list[Path], init=False, repr=False, eq=False)

    def open_or_rebuild(self) -> None:
        """
        Make sure that there is an index that can be used.
        """
        self._run(lambda _: None)

    def renew(self) -> None:
        """
        Build the index anew: it says what the records do not.
        """

        def age(connection: sqlite3.Connection) -> None:
            connection.execute("PRAGMA user_version = 0")

        self._run(age)
        self.open_or_rebuild()

    def add(self, turns: Iterable[Turn]) -> None:
        """
        Take turns and their pictures in.
        """

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            index_schema.insert(connection, turns)
            connection.execute("COMMIT")

        with _gate(self.path):
            self._run(insert)

    def find(self, image_id: str, beside: Sequence[Turn] = ()) -> ImageLocation | None:
        """
        Return where a picture's record is.

        Args:
            image_id: The picture.
            beside: Turns that count as if they had been taken in.
        """
        found = self._select("WHERE id = ?", (image_id,), beside)
        return found[0] if found else None

    def page(self, query: ImageQuery, beside: Sequence[Turn] = ()) -> list[ImageLocation]:
        """
        Return the latest pictures, the newest first.
        """
        wanted: tuple[tuple[str, object], ...] = (
            ("session = ?", query.session),
            ("kind = ?", query.kind),
            ("instr(words, ?)", index_schema.fold_for_search(query.text) if query.text else None),
            ("id >= ?", first_id(query.since) if query.since else None),
            ("id < ?", first_id(query.until) if query.until else None),
            ("id < ?", query.before),
        )
        where, values = index_schema.where(wanted)
        clause = f"WHERE {where} ORDER BY id DESC LIMIT ?"
        return self._select(clause, (*values, query.limit), beside)

    def sum_costs(self, query: SpendingQuery, beside: Sequence[Turn] = ()) -> list[CostTotals]:
        """
        Add up what turns cost, by what they are grouped by.
        """
        return self.look(lambda connection: index_schema.tally(connection, query), beside)

    def find_intent(
        self, idempotency_key: str, beside: Sequence[Turn] = ()
    ) -> list[tuple[str | None, str]]:
        """
        Return session and turn of all that was settled under a caller's own name.
        """
        return self.look(
            lambda connection: index_schema.find_intent(connection, idempotency_key), beside
        )

    @contextlib.contextmanager
    def locked(self) -> Generator[sqlite3.Connection, None, None]:
        """
        Keep all other processes from changing the library meanwhile.
        """
        self.open_or_rebuild()
        with _gate(self.path), _index_errors(self.path), self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._fill(connection)  # another process may have taken it away since
                yield connection
            except BaseException as error:
                if isinstance(error, sqlite3.DatabaseError):
                    self._looked_through.clear()  # so that it is, the next time
                with contextlib.suppress(sqlite3.Error):  # some errors undo everything themselves
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _select(
        self, clause: str, values: tuple[object, ...], beside: Sequence[Turn]
    ) -> list[ImageLocation]:
        sql = f"SELECT id, turn, session, position FROM images {clause}"  # noqa: S608 - clauses are ours
        return self.look(
            lambda connection: [ImageLocation(*row) for row in connection.execute(sql, values)],
            beside,
        )

    def look(self, work: Callable[[sqlite3.Connection], T], beside: Sequence[Turn]) -> T:
        """
        Look something up as if turns had been taken in. Nothing is written, and so nobody is waited
        for: taking them in flushes the disk four times.

        Args:
            work: What to look up.
            beside: The turns.
        """

        def look(connection: sqlite3.Connection) -> T:
            index_schema.attach_pending(connection, beside)
            return work(connection)

        return self._run(look if beside else work)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """
        Work with the index; build it anew and work again if it turns out not to be one.
        """
        for _ in range(_TRIES):
            seen = self._identity()
            try:
                return self._try(work)
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                # Another process may have taken it away under our hands, or built it anew already.
                if self._identity() == seen and not _is_broken(error):
                    raise StorageIOError(
                        f"The library's index {self.path} cannot be used: {error}."
                    ) from error
                self._quarantine(seen)
        with _index_errors(self.path):
            return self._try(work)

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_ctime_ns

    def _try(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._connected() as connection:
            if _version(connection) != INDEX_VERSION:
                self._rebuild(connection)
            self._look_through(connection)
            return work(connection)

    def _look_through(self, connection: sqlite3.Connection) -> None:
        """
        Look once for damage that would go unnoticed. A large index is not compared with the
        orders of its rows, which takes ten times as long: half a second for 100,000 pictures.
        """
        if self._looked_through:
            return
        look = "integrity_check" if self.path.stat().st_size <= SMALL else "quick_check"
        verdict = connection.execute(f"PRAGMA {look}(1)").fetchone()
        if verdict != ("ok",):
            raise _DamagedError(str(verdict))
        self._looked_through.append(self.path)

    def _rebuild(self, connection: sqlite3.Connection) -> None:
        """
        Read all records in one transaction; turns that settle meanwhile wait to be added.
        """
        connection.execute("BEGIN IMMEDIATE")
        self._fill(connection)
        connection.execute("COMMIT")

    def _fill(self, connection: sqlite3.Connection) -> None:
        if _version(connection) == INDEX_VERSION:
            return
        index_schema.create_tables(connection)
        index_schema.insert(connection, self.scan())
        connection.execute(f"PRAGMA user_version = {INDEX_VERSION}")

    def _quarantine(self, seen: tuple[int, int] | None) -> None:
        """
        Take an index away that is none, unless it was changed since it was seen, or somebody is
        at it: they would hold a lock that nobody else sees, and their rollback journal would be
        taken for that of the index that comes after.
        """
        with exclusive(self._guard) as sure:
            if sure and self._identity() == seen:
                for suffix in ("", "-journal"):
                    Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    @property
    def _guard(self) -> Path:
        return self.path.with_suffix(".lock")

    @contextlib.contextmanager
    def _connected(self) -> Generator[sqlite3.Connection, None, None]:
        with shared(self._guard):
            connection = self._connect()
            try:
                yield connection
            finally:
                connection.close()

    def _connect(self) -> sqlite3.Connection:
        """
        Open the index, as an empty one if there is none.

        SQLite has to make the file: if we opened and closed it, the system would take the locks
        from other threads that are at it already. https://sqlite.org/howtocorrupt.html, 2.2
        """
        missing = not self.path.exists()
        if missing:
            check_writable(self.path.parent)
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            if missing:
                self.path.chmod(PRIVATE_FILE)
            # WAL loses commits of two processes before SQLite 3.51.3, so: a rollback journal.
            # https://sqlite.org/releaselog/3_51_3.html
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA trusted_schema = OFF")
        except BaseException:
            connection.close()
            raise
        return connection


_gates: dict[Path, threading.Lock] = {}
# What other threads of the parent hold is not held in a fork, and would never be released there.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_gates.clear)


def _gate(path: Path) -> threading.Lock:
    """
    Return the lock that lets one thread of this process at a time change an index. SQLite lets
    those that wait look again and again, at ever longer intervals; here they queue.
    """
    return _gates.setdefault(path, threading.Lock())


class _DamagedError(sqlite3.DatabaseError):
    """
    The index can be read and is not whole.
    """


def _is_broken(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF not in _AROUND_IT


@contextlib.contextmanager
def _index_errors(path: Path) -> Generator[None, None, None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StorageIOError(f"The library's index {path} cannot be used: {error}.") from error


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
