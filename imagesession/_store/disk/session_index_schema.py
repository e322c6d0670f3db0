"""
The statements that write and query sessions in the index.

Names are folded, so that case and Unicode composition do not matter. In the row of a session whose
record cannot be read, the name is NULL: the record may be repaired at any time, so a lookup by name
reads it again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.wording import fold
from imagesession._store.index_rows import touched, utf8

from .index_schema import where

# From then on, names without a schema mean the temporary table.
_TEMP_SCHEMA = """
PRAGMA temp_store = MEMORY;
CREATE TEMP TABLE sessions AS SELECT * FROM main.sessions LIMIT 0;
"""


def stamp(connection: sqlite3.Connection) -> int | None:
    """
    Return the stamp of the records' folder when the rows were up to date; None if they are not.
    """
    row = connection.execute("SELECT stamp FROM sessions_folder").fetchone()
    return None if row is None else int(row[0])


def set_stamp(connection: sqlite3.Connection, stamp: int | None) -> None:
    """
    Store the stamp of the folder; None if some records may have no rows.
    """
    connection.execute("DELETE FROM sessions_folder")
    if stamp is not None:
        connection.execute("INSERT INTO sessions_folder VALUES (?)", (stamp,))


def attach_pending(connection: sqlite3.Connection) -> None:
    """
    Replace the table of sessions by an empty temporary one, for this connection only.
    """
    connection.executescript(_TEMP_SCHEMA)


def files(connection: sqlite3.Connection) -> dict[str, str]:
    """
    Return the identity of the file that each row was read from, by the session's id.
    """
    return dict(connection.execute("SELECT id, file FROM sessions"))


def put(
    connection: sqlite3.Connection, session_id: str, record: SessionRecord | None, file: str
) -> None:
    """
    Insert or replace a session's row.

    Args:
        connection: The index.
        session_id: Its id.
        record: Its record; None if that cannot be read.
        file: The identity of the record's file.
    """
    name, is_open, last = None, False, ""
    if record is not None:
        name, is_open, last = (
            utf8(fold(record.name or "")),
            record.closed is None,
            touched(record),
        )
    row = session_id, name, int(is_open), last, file
    connection.execute("REPLACE INTO sessions VALUES (?, ?, ?, ?, ?)", row)


def drop(connection: sqlite3.Connection, session_ids: Iterable[str]) -> None:
    """
    Remove the rows of some sessions.
    """
    connection.executemany(
        "DELETE FROM sessions WHERE id = ?", [(session_id,) for session_id in session_ids]
    )


def find_by_name(connection: sqlite3.Connection, name: str) -> list[str]:
    """
    Return the ids of the sessions that may have a name, the latest first.
    """
    sql = "SELECT id FROM sessions WHERE name = ? OR name IS NULL ORDER BY id DESC"
    return [row[0] for row in connection.execute(sql, (utf8(fold(name)),))]


def page(connection: sqlite3.Connection, limit: int | None, before: str | None) -> list[str]:
    """
    Return the ids of the latest sessions, the latest first.

    Args:
        connection: The index.
        limit: The largest number of sessions; None for all.
        before: Only those older than the session of this id.
    """
    condition, values = where((("id < ?", before),))
    sql = f"SELECT id FROM sessions WHERE {condition} ORDER BY id DESC LIMIT ?"  # noqa: S608 - conditions are ours
    # A negative limit means no limit.
    return [row[0] for row in connection.execute(sql, (*values, -1 if limit is None else limit))]


def count(connection: sqlite3.Connection) -> int:
    """
    Return how many sessions there are.
    """
    total: int = connection.execute("SELECT count(*) FROM sessions").fetchone()[0]
    return total


def active(connection: sqlite3.Connection, since: str) -> list[tuple[str, str]]:
    """
    Return the open sessions with a turn or move since an id, each with the id of the latest.
    """
    sql = """
        WITH recent (id) AS (
            SELECT id FROM sessions WHERE open = 1 AND touched >= :since
            UNION SELECT session FROM turns WHERE id >= :since AND session IS NOT NULL
        )
        SELECT id, max(touched, coalesce(
            (SELECT id FROM turns WHERE session = sessions.id ORDER BY turns.id DESC LIMIT 1), ''
        ))
        FROM sessions WHERE open = 1 AND id IN recent
    """
    return list(connection.execute(sql, {"since": since}))
