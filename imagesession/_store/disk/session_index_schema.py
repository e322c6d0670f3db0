"""
The statements that write and query sessions and marks in the index.

Names are folded, so that case and Unicode composition do not matter. In the row of a session whose
record cannot be read, the name is NULL: the record may be repaired at any time, so a lookup by name
reads it again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import TypeAlias

from imagesession._domain.marks import Mark, Marks
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.wording import fold
from imagesession._store.index_rows import touched, utf8, utf8_or_none

from .index_schema import where

Content: TypeAlias = SessionRecord | Marks | None
"""What a file holds: a session's record or marks; None if it cannot be read."""
# From then on, names without a schema mean the temporary tables.
_TEMP_SCHEMA = """
PRAGMA temp_store = MEMORY;
CREATE TEMP TABLE sessions AS SELECT * FROM main.sessions LIMIT 0;
CREATE TEMP TABLE marks AS SELECT * FROM main.marks LIMIT 0;
CREATE TEMP TABLE marks_files AS SELECT * FROM main.marks_files LIMIT 0;
"""
_IS_DELETED = """EXISTS (
    SELECT 1 FROM marks WHERE marks.id = sessions.id AND deleted = 1 AND erased <= ?
) = ?"""
_NOT_DELETED = _IS_DELETED.replace("?", "1", 1).replace("?", "0", 1)


def stamp(connection: sqlite3.Connection) -> int | None:
    row = connection.execute("SELECT stamp FROM sessions_folder").fetchone()
    return None if row is None else int(row[0])


def set_stamp(connection: sqlite3.Connection, stamp: int | None) -> None:
    connection.execute("DELETE FROM sessions_folder")
    if stamp is not None:
        connection.execute("INSERT INTO sessions_folder VALUES (?)", (stamp,))


def attach_pending(connection: sqlite3.Connection) -> None:
    connection.executescript(_TEMP_SCHEMA)


def files(connection: sqlite3.Connection) -> dict[str, str]:
    sql = """
        SELECT id || '.json', file FROM sessions
        UNION ALL SELECT owner || '.marks', file FROM marks_files
    """
    return dict(connection.execute(sql))


def put(connection: sqlite3.Connection, name: str, content: Content, file: str) -> None:
    owner, _, suffix = name.partition(".")
    if isinstance(content, SessionRecord) or suffix == "json":
        record = content if isinstance(content, SessionRecord) else None
        _put_session(connection, owner, record, file)
        return
    marks: Marks = content or {}
    connection.execute("INSERT INTO marks_files VALUES (?, ?)", (owner, file))
    connection.executemany(
        "INSERT INTO marks VALUES (?, ?, ?, ?, ?, ?)",
        [_mark_row(marked_id, owner, mark) for marked_id, mark in marks.items()],
    )


def _mark_row(marked_id: str, owner: str, mark: Mark) -> tuple[object, ...]:
    tags = "".join(f"{utf8(fold(tag))}\n" for tag in mark.tags)
    flags = mark.deleted is not None, mark.erased, mark.starred
    return utf8(marked_id), owner, *map(int, flags), f"\n{tags}"


def _put_session(
    connection: sqlite3.Connection, session_id: str, record: SessionRecord | None, file: str
) -> None:
    owner, name, is_open, last = None, None, False, ""
    if record is not None:
        owner, name, is_open, last = (
            utf8_or_none(record.owner),
            utf8(fold(record.name or "")),
            record.closed is None,
            touched(record),
        )
    row = session_id, owner, name, int(is_open), last, file
    connection.execute("REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?)", row)


def drop(connection: sqlite3.Connection, names: Iterable[str]) -> None:
    tables = {
        "json": (("sessions", "id"),),
        "marks": (("marks", "owner"), ("marks_files", "owner")),
    }
    for name in names:
        owner, _, suffix = name.partition(".")
        for table, column in tables[suffix]:
            connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (owner,))  # noqa: S608 - names of tables


def page(
    connection: sqlite3.Connection,
    limit: int | None,
    before: str | None,
    owner: str | None,
    *,
    name: str | None = None,
    deleted: bool = False,
) -> list[str]:
    # "+" keeps SQLite from the index of owners, and so at that of names.
    is_own = "owner = ?" if name is None else "+owner = ?"
    named = ("(name = ? OR name IS NULL)", None if name is None else utf8(fold(name)))
    condition, values = where((named, ("id < ?", before), (is_own, owner)))
    condition += f" AND {_IS_DELETED}"
    values += [int(not deleted), int(deleted)]
    sql = f"SELECT id FROM sessions WHERE {condition} ORDER BY id DESC LIMIT ?"  # noqa: S608 - conditions are ours
    # A negative limit means no limit.
    return [row[0] for row in connection.execute(sql, (*values, -1 if limit is None else limit))]


def count(connection: sqlite3.Connection, owner: str | None) -> int:
    condition, values = where((("owner = ?", owner),))
    sql = f"SELECT count(*) FROM sessions WHERE {condition}"  # noqa: S608 - conditions are ours
    # Hardly any are deleted, so those are counted and not all are looked up.
    deleted = f"{sql} AND id IN (SELECT id FROM marks WHERE deleted = 1)"  # noqa: S608 - as above
    total: int = connection.execute(f"SELECT ({sql}) - ({deleted})", values * 2).fetchone()[0]
    return total


def active(connection: sqlite3.Connection, since: str, owner: str | None) -> list[tuple[str, str]]:
    sql = f"""
        WITH recent (id) AS (
            SELECT id FROM sessions WHERE open = 1 AND touched >= :since
            UNION SELECT session FROM turns WHERE id >= :since AND session IS NOT NULL
        )
        SELECT id, max(touched, coalesce(
            (SELECT id FROM turns WHERE session = sessions.id ORDER BY turns.id DESC LIMIT 1), ''
        ))
        FROM sessions WHERE open = 1 AND id IN recent AND {_NOT_DELETED}
            AND (:owner IS NULL OR owner = :owner)
    """  # noqa: S608 - conditions are ours
    return list(connection.execute(sql, {"since": since, "owner": owner}))
