"""
The index of pictures: SQLite, disposable, rebuilt from the records.

A connection lives for one operation. That costs a fifth of a millisecond, and nothing is shared
between threads, left open across a fork, or holds a cursor that would block another process.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import TypeVar

import attrs

from imagesession.errors import DiskError

from .durable import PRIVATE_FILE

INDEX_VERSION = 1
BUSY_SECONDS = 30.0
T = TypeVar("T")
# The file is no index: https://sqlite.org/rescode.html. A missing table is a plain SQLITE_ERROR.
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_SCHEMA = """
CREATE TABLE images (
    id TEXT PRIMARY KEY,
    turn TEXT NOT NULL,
    session TEXT,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX images_of_session ON images (session, id);
"""


@attrs.frozen
class Row:
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
        scan: Reads all rows from the records, for building it anew.
    """

    path: Path
    scan: Callable[[], Iterable[Row]]

    def ensure(self) -> None:
        """
        Make sure that there is an index that can be used.
        """
        self._run(lambda _: None)

    def add(self, rows: Iterable[Row]) -> None:
        """
        Take pictures in.
        """
        values = [(row.image, row.turn, row.session, row.position) for row in rows]

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?)", values)
            connection.execute("COMMIT")

        self._run(insert)

    def find(self, image_id: str) -> Row | None:
        """
        Return where a picture's record is.
        """
        rows = self._select("WHERE id = ?", (image_id,))
        return rows[0] if rows else None

    def page(self, session: str | None, before: str | None, limit: int) -> list[Row]:
        """
        Return the latest pictures, the newest first.
        """
        wanted = [("session = ?", session), ("id < ?", before)]
        conditions = [(sql, value) for sql, value in wanted if value is not None]
        where = " AND ".join(sql for sql, _ in conditions) or "TRUE"
        values = (*(value for _, value in conditions), limit)
        return self._select(f"WHERE {where} ORDER BY id DESC LIMIT ?", values)

    @contextlib.contextmanager
    def locked(self) -> Generator[sqlite3.Connection, None, None]:
        """
        Keep all other processes from changing the library meanwhile.
        """
        self.ensure()
        with _index_errors(self.path), self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _select(self, clause: str, values: tuple[object, ...]) -> list[Row]:
        sql = f"SELECT id, turn, session, position FROM images {clause}"  # noqa: S608 - clauses are ours
        return self._run(lambda connection: [Row(*row) for row in connection.execute(sql, values)])

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """
        Work with the index; build it anew and work again if it turns out not to be one.
        """
        try:
            return self._try(work)
        except sqlite3.DatabaseError as error:
            if not _is_broken(error):
                raise DiskError(
                    f"The library's index {self.path} cannot be used: {error}."
                ) from error
            self._put_aside()
        with _index_errors(self.path):
            return self._try(work)

    def _try(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._connected() as connection:
            if _version(connection) != INDEX_VERSION:
                self._rebuild(connection)
            return work(connection)

    def _rebuild(self, connection: sqlite3.Connection) -> None:
        """
        Read all records in one transaction; turns that settle meanwhile wait to be added.
        """
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection) != INDEX_VERSION:
            tables = connection.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ).fetchall()
            for (name,) in tables:
                connection.execute(f'DROP TABLE "{name}"')
            for statement in _SCHEMA.split(";")[:-1]:
                connection.execute(statement)
            connection.executemany(
                "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?)",
                ((row.image, row.turn, row.session, row.position) for row in self.scan()),
            )
            connection.execute(f"PRAGMA user_version = {INDEX_VERSION}")
        connection.execute("COMMIT")

    def _put_aside(self) -> None:
        for suffix in ("", "-journal"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    @contextlib.contextmanager
    def _connected(self) -> Generator[sqlite3.Connection, None, None]:
        self.path.touch(mode=PRIVATE_FILE)
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            # WAL loses commits of two processes before SQLite 3.51.3, so: a rollback journal.
            # https://sqlite.org/releaselog/3_51_3.html
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA trusted_schema = OFF")
            yield connection
        finally:
            connection.close()


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in _BROKEN or "no such table" in str(error) or "has no column" in str(error)


@contextlib.contextmanager
def _index_errors(path: Path) -> Generator[None, None, None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise DiskError(f"The library's index {path} cannot be used: {error}.") from error


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
