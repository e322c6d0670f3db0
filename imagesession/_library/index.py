"""
The index of turns and pictures: SQLite, disposable, rebuilt from the records.

A connection lives for one operation. That costs a fifth of a millisecond, and nothing is shared
between threads, left open across a fork, or holds a cursor that would block another process.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import unicodedata
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import attrs

from imagesession._model.turns import ImageRecord, Turn
from imagesession._plan.store import ImageQuery, SpendingQuery, Tally
from imagesession.errors import DiskError

from .durable import PRIVATE_FILE
from .ids import first_id
from .owners import alone

INDEX_VERSION = 3
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

_SCHEMA = """
CREATE TABLE turns (
    id TEXT PRIMARY KEY,
    session TEXT,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    model TEXT,
    provider TEXT NOT NULL,
    day TEXT NOT NULL,
    intent TEXT,
    images INTEGER NOT NULL,
    cost REAL NOT NULL,
    uncertain INTEGER NOT NULL,
    spent REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE images (
    id TEXT PRIMARY KEY,
    turn TEXT NOT NULL,
    session TEXT,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    words TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX images_of_session ON images (session, id);
CREATE INDEX images_of_kind ON images (kind, id);
CREATE INDEX turns_of_session ON turns (session, id);
CREATE INDEX turns_of_day ON turns (day);
CREATE INDEX turns_of_intent ON turns (intent) WHERE intent IS NOT NULL;
"""
# Names without a schema mean the temporary views from then on.
_BESIDE = """
PRAGMA temp_store = MEMORY;
CREATE TEMP TABLE more_turns AS SELECT * FROM main.turns LIMIT 0;
CREATE TEMP TABLE more_images AS SELECT * FROM main.images LIMIT 0;
CREATE TEMP VIEW turns AS
    SELECT * FROM main.turns WHERE id NOT IN (SELECT id FROM more_turns)
    UNION ALL SELECT * FROM more_turns;
CREATE TEMP VIEW images AS
    SELECT * FROM main.images WHERE turn NOT IN (SELECT id FROM more_turns)
    UNION ALL SELECT * FROM more_images;
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
        scan: Reads all turns from the records, for building it anew.
    """

    path: Path
    scan: Callable[[], Iterable[Turn]]
    _looked_through: list[Path] = attrs.field(factory=list[Path], init=False, repr=False, eq=False)

    def ensure(self) -> None:
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
        self.ensure()

    def add(self, turns: Iterable[Turn]) -> None:
        """
        Take turns and their pictures in.
        """

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            _insert(connection, turns)
            connection.execute("COMMIT")

        self._run(insert)

    def find(self, image_id: str, beside: Sequence[Turn] = ()) -> Row | None:
        """
        Return where a picture's record is.

        Args:
            image_id: The picture.
            beside: Turns that count as if they had been taken in.
        """
        rows = self._select("WHERE id = ?", (image_id,), beside)
        return rows[0] if rows else None

    def page(self, query: ImageQuery, beside: Sequence[Turn] = ()) -> list[Row]:
        """
        Return the latest pictures, the newest first.
        """
        wanted: tuple[tuple[str, object], ...] = (
            ("session = ?", query.session),
            ("kind = ?", query.kind),
            ("instr(words, ?)", _folded(query.text) if query.text else None),
            ("id >= ?", first_id(query.since) if query.since else None),
            ("id < ?", first_id(query.until) if query.until else None),
            ("id < ?", query.before),
        )
        where, values = _where(wanted)
        clause = f"WHERE {where} ORDER BY id DESC LIMIT ?"
        return self._select(clause, (*values, query.limit), beside)

    def tally(self, query: SpendingQuery, beside: Sequence[Turn] = ()) -> list[Tally]:
        """
        Add up what turns cost, by what they are grouped by.
        """
        return self._look(lambda connection: tally(connection, query), beside)

    def find_intent(
        self, intent_id: str, beside: Sequence[Turn] = ()
    ) -> list[tuple[str | None, str]]:
        """
        Return session and turn of all that was settled under a caller's own name.
        """
        return self._look(lambda connection: find_intent(connection, intent_id), beside)

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
            except BaseException as error:
                if isinstance(error, sqlite3.DatabaseError):
                    self._looked_through.clear()  # so that it is, the next time
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _select(self, clause: str, values: tuple[object, ...], beside: Sequence[Turn]) -> list[Row]:
        sql = f"SELECT id, turn, session, position FROM images {clause}"  # noqa: S608 - clauses are ours
        return self._look(
            lambda connection: [Row(*row) for row in connection.execute(sql, values)], beside
        )

    def _look(self, work: Callable[[sqlite3.Connection], T], beside: Sequence[Turn]) -> T:
        """
        Look something up as if turns had been taken in. Nothing is written, and so nobody is waited
        for: taking them in flushes the disk four times.
        """

        def look(connection: sqlite3.Connection) -> T:
            connection.executescript(_BESIDE)
            _insert(connection, beside, "more_")
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
                    raise DiskError(
                        f"The library's index {self.path} cannot be used: {error}."
                    ) from error
                self._put_aside(seen)
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
        if _version(connection) != INDEX_VERSION:
            tables = connection.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ).fetchall()
            for (name,) in tables:
                connection.execute(f'DROP TABLE "{name}"')
            for statement in _SCHEMA.split(";")[:-1]:
                connection.execute(statement)
            _insert(connection, self.scan())
            connection.execute(f"PRAGMA user_version = {INDEX_VERSION}")
        connection.execute("COMMIT")

    def _put_aside(self, seen: tuple[int, int] | None) -> None:
        """
        Take an index away that is none, unless it was changed since it was seen; one process at a
        time, so that none takes away what another has just built.
        """
        with alone(self.path.with_suffix(".lock")):
            if self._identity() == seen:
                for suffix in ("", "-journal"):
                    Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    @contextlib.contextmanager
    def _connected(self) -> Generator[sqlite3.Connection, None, None]:
        if not self.path.exists():
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


def tally(connection: sqlite3.Connection, query: SpendingQuery) -> list[Tally]:
    """
    Add up what turns cost, by what they are grouped by.
    """
    wanted = (
        ("day >= ?", query.since.isoformat() if query.since else None),
        ("day <= ?", query.until.isoformat() if query.until else None),
        ("session = ?", query.session),
    )
    where, values = _where(wanted)
    sql = (
        f"SELECT coalesce({query.by}, ''), sum(cost), sum(spent), sum(uncertain), sum(images), "  # noqa: S608 - names of columns
        f"count(*) FROM turns WHERE {where} GROUP BY 1 ORDER BY 1"
    )
    return [Tally(*row) for row in connection.execute(sql, values)]


def find_intent(connection: sqlite3.Connection, intent_id: str) -> list[tuple[str | None, str]]:
    """
    Return session and turn of all that was settled under a caller's own name, the latest first.
    """
    sql = "SELECT session, id FROM turns WHERE intent = ? ORDER BY id DESC"
    return list(connection.execute(sql, (_utf8(intent_id),)))


def has_turn(connection: sqlite3.Connection, turn_id: str) -> bool:
    """
    Tell whether a turn was taken in.
    """
    return connection.execute("SELECT 1 FROM turns WHERE id = ?", (turn_id,)).fetchone() is not None


def spent_on(turn: Turn) -> float:
    """
    Return the US dollars that a budget counts for a turn: where a price is not known, at least
    what was set aside.
    """
    if turn.cost is None:
        return 0.0
    known = turn.cost.known
    return known if turn.cost.total is not None else max(known, turn.reserved or 0.0)


def _where(wanted: Iterable[tuple[str, object]]) -> tuple[str, list[object]]:
    conditions = [(sql, value) for sql, value in wanted if value is not None]
    return " AND ".join(sql for sql, _ in conditions) or "TRUE", [v for _, v in conditions]


def _insert(connection: sqlite3.Connection, turns: Iterable[Turn], prefix: str = "") -> None:
    for turn in turns:
        connection.execute(
            f"INSERT OR REPLACE INTO {prefix}turns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - prefixes are ours
            _turn_row(turn),
        )
        connection.executemany(
            f"INSERT OR REPLACE INTO {prefix}images VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - as above
            [
                (image.id, turn.id, turn.session, position, turn.kind, _words(turn, image))
                for position, image in enumerate(turn.images)
            ],
        )


def _turn_row(turn: Turn) -> tuple[object, ...]:
    return (
        turn.id,
        turn.session,
        turn.kind,
        turn.status,
        _utf8(turn.model or ""),
        _utf8(turn.provider),
        turn.started.astimezone(dt.UTC).date().isoformat(),
        None if turn.intent_id is None else _utf8(turn.intent_id),
        sum(image.source == "reply" for image in turn.images),
        turn.cost.known if turn.cost else 0.0,
        int(turn.cost is not None and turn.cost.total is None),
        spent_on(turn),
    )


def _words(turn: Turn, image: ImageRecord) -> str:
    """
    Return what a picture is searched by.
    """
    return _utf8(_folded("\n".join((turn.prompt, image.revised_prompt or "", turn.label))))


def _folded(text: str) -> str:
    """
    Return a text in a form in which neither case nor how letters are composed counts.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def _utf8(text: str) -> str:
    """
    Replace halves of characters, which a record can hold and a database cannot.
    """
    return text.encode("utf-8", "replace").decode("utf-8")


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
        raise DiskError(f"The library's index {path} cannot be used: {error}.") from error


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
