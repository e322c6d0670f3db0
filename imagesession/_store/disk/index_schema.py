"""
The tables of the index, and the statements that write and query turns and images. Those of
sessions are in `session_index_schema`.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Collection, Iterable

from imagesession._domain.turn import Turn, is_id
from imagesession._domain.wording import fold
from imagesession._engine.image_queries import CostTotals, ImageQuery, SpendingQuery
from imagesession._store.ids import first_id
from imagesession._store.index_rows import cost_columns, day_of, search_text, utf8, utf8_or_none
from imagesession._store.ports import ImageLocation

_SCHEMA = """
CREATE TABLE turns (
    id TEXT PRIMARY KEY,
    session TEXT,
    owner TEXT,
    erased INTEGER NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    day TEXT NOT NULL,
    intent TEXT,
    images INTEGER NOT NULL,
    cost REAL NOT NULL,
    uncertain INTEGER NOT NULL,
    spent REAL NOT NULL,
    context REAL NOT NULL,
    context_tokens INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE totals (
    day TEXT NOT NULL,
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    turns INTEGER NOT NULL,
    images INTEGER NOT NULL,
    cost REAL NOT NULL,
    uncertain INTEGER NOT NULL,
    spent REAL NOT NULL,
    context REAL NOT NULL,
    context_tokens INTEGER NOT NULL,
    PRIMARY KEY (day, kind, model, provider)
) STRICT, WITHOUT ROWID;
CREATE TABLE images (
    id TEXT PRIMARY KEY,
    turn TEXT NOT NULL,
    session TEXT,
    owner TEXT,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    words TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    owner TEXT,
    name TEXT,
    open INTEGER NOT NULL,
    touched TEXT NOT NULL,
    file TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE marks (
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    erased INTEGER NOT NULL,
    starred INTEGER NOT NULL,
    tags TEXT NOT NULL,
    PRIMARY KEY (id, owner)
) STRICT, WITHOUT ROWID;
CREATE TABLE marks_files (owner TEXT PRIMARY KEY, file TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE sessions_folder (stamp INTEGER NOT NULL) STRICT;
CREATE INDEX images_of_session ON images (session, id);
CREATE INDEX images_of_owner ON images (owner, id) WHERE owner IS NOT NULL;
CREATE INDEX images_of_kind ON images (kind, id);
CREATE INDEX images_by_ending ON images (substr(id, -8));
CREATE INDEX turns_of_session ON turns (session, id);
CREATE INDEX turns_of_owner ON turns (owner, day) WHERE owner IS NOT NULL;
CREATE INDEX turns_of_intent ON turns (intent) WHERE intent IS NOT NULL;
CREATE INDEX sessions_of_owner ON sessions (owner, id) WHERE owner IS NOT NULL;
CREATE INDEX sessions_of_name ON sessions (name, id);
CREATE INDEX marks_of_owner ON marks (owner);
CREATE INDEX starred ON marks (id) WHERE starred = 1;
CREATE INDEX open_sessions ON sessions (touched) WHERE open = 1;
"""
_COSTS = ("images", "cost", "uncertain", "spent", "context", "context_tokens")
# Costs by day take as long after a million turns as after a thousand.
_TRIGGERS = (
    """
    CREATE TRIGGER turn_added AFTER INSERT ON turns BEGIN
        INSERT INTO totals VALUES (
            new.day, new.kind, new.model, new.provider, 1, new.images, new.cost, new.uncertain,
            new.spent, new.context, new.context_tokens
        )
        ON CONFLICT DO UPDATE SET
            turns = turns + 1,
            images = images + new.images,
            cost = cost + new.cost,
            uncertain = uncertain + new.uncertain,
            spent = spent + new.spent,
            context = context + new.context,
            context_tokens = context_tokens + new.context_tokens;
    END
    """,
    """
    CREATE TRIGGER turn_dropped AFTER DELETE ON turns BEGIN
        UPDATE totals SET
            turns = turns - 1,
            images = images - old.images,
            cost = cost - old.cost,
            uncertain = uncertain - old.uncertain,
            spent = spent - old.spent,
            context = context - old.context,
            context_tokens = context_tokens - old.context_tokens
        WHERE day = old.day AND kind = old.kind AND model = old.model AND provider = old.provider;
    END
    """,
)
# From then on, names without a schema mean the temporary views.
_PENDING_SCHEMA = """
PRAGMA temp_store = MEMORY;
CREATE TEMP TABLE more_turns AS SELECT * FROM main.turns LIMIT 0;
CREATE TEMP TABLE more_images AS SELECT * FROM main.images LIMIT 0;
CREATE TEMP VIEW turns AS
    SELECT * FROM main.turns WHERE id NOT IN (SELECT id FROM more_turns)
    UNION ALL SELECT * FROM more_turns;
CREATE TEMP VIEW images AS
    SELECT * FROM main.images WHERE turn NOT IN (SELECT id FROM more_turns)
    UNION ALL SELECT * FROM more_images;
CREATE TEMP VIEW totals AS
    SELECT * FROM main.totals
    UNION ALL SELECT day, kind, model, provider, 1, images, cost, uncertain, spent, context,
        context_tokens FROM more_turns WHERE id NOT IN (SELECT id FROM main.turns);
"""
_IS_DELETED = """EXISTS (
    SELECT 1 FROM marks WHERE marks.id IN (images.id, images.session) AND deleted = 1
) = ?"""
_BY_ENDING = "WHERE substr(id, -8) = substr(?1, -8) AND substr(id, -length(?1)) = ?1"
_HAS_TAG = "EXISTS (SELECT 1 FROM marks WHERE marks.id = images.id AND instr(tags, ?))"


def create_tables(connection: sqlite3.Connection) -> None:
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    for (name,) in tables:
        connection.execute(f'DROP TABLE "{name}"')
    for statement in (*_SCHEMA.split(";")[:-1], *_TRIGGERS):
        connection.execute(statement)


def attach_pending(connection: sqlite3.Connection, turns: Iterable[Turn]) -> None:
    """
    Add turns that are not indexed yet, for queries on this connection only.
    """
    connection.executescript(_PENDING_SCHEMA)
    insert(connection, turns, "more_")


def find(connection: sqlite3.Connection, image_id: str, owner: str | None) -> ImageLocation | None:
    """
    Return where an image's record is; None if there is none, or if several ids end so.
    """
    clause = "WHERE id = ?1" if is_id(image_id) else _BY_ENDING
    clause += " AND (?2 IS NULL OR owner = ?2) LIMIT 2"
    found = _locations(connection, clause, (image_id, owner))
    return found[0] if len(found) == 1 else None


def page(
    connection: sqlite3.Connection, query: ImageQuery, owner: str | None = None
) -> list[ImageLocation]:
    # Without statistics, SQLite would go through all of an owner's; "+" keeps it from that index.
    is_own = "owner = ?" if query.session is None else "+owner = ?"
    conditions: tuple[tuple[str, object], ...] = (
        (_IS_DELETED, query.deleted),
        ("session = ?", query.session),
        (is_own, owner),
        ("kind = ?", query.kind),
        ("instr(words, ?)", fold(query.text) if query.text else None),
        ("id >= ?", first_id(query.since) if query.since else None),
        ("id < ?", first_id(query.until) if query.until else None),
        ("id < ?", query.before),
        ("(id IN (SELECT id FROM marks WHERE starred = 1)) = ?", query.starred),
        *((_HAS_TAG, f"\n{utf8(fold(tag))}\n") for tag in query.tags),
    )
    condition, values = where(conditions)
    return _locations(
        connection, f"WHERE {condition} ORDER BY id DESC LIMIT ?", (*values, query.limit)
    )


def _locations(
    connection: sqlite3.Connection, clause: str, values: tuple[object, ...]
) -> list[ImageLocation]:
    sql = f"SELECT id, turn, session, position FROM images {clause}"  # noqa: S608 - clauses are ours
    return [ImageLocation(*row) for row in connection.execute(sql, values)]


def tally(
    connection: sqlite3.Connection, query: SpendingQuery, owner: str | None = None
) -> list[CostTotals]:
    optional = (
        ("day >= ?", query.since.isoformat() if query.since else None),
        ("day <= ?", query.until.isoformat() if query.until else None),
        ("session = ?", query.session),
        ("owner = ?", owner),
    )
    conditions, values = where(optional)
    # The sums of days know neither sessions nor owners.
    by_turn = query.by in {"session", "owner"} or query.session is not None or owner is not None
    count, table = ("count(*)", "turns") if by_turn else ("sum(turns)", "totals")
    sql = (
        f"SELECT coalesce({query.by}, ''), sum(cost), sum(spent), sum(uncertain), sum(images), "  # noqa: S608 - names of columns
        f"{count}, sum(context), sum(context_tokens) "
        f"FROM {table} WHERE {conditions} GROUP BY 1 HAVING {count} > 0 ORDER BY 1"
    )
    return [CostTotals(*row) for row in connection.execute(sql, values)]


def find_intent(
    connection: sqlite3.Connection, idempotency_key: str, owner: str | None
) -> list[tuple[str | None, str]]:
    sql = "SELECT session, id FROM turns WHERE intent = ? AND owner IS ? ORDER BY id DESC"
    return list(connection.execute(sql, (utf8(idempotency_key), owner)))


def turns(
    connection: sqlite3.Connection, before: str | None, owner: str | None
) -> list[tuple[str | None, str]]:
    optional = (("id < ?", before), ("erased = ?", None if before is None else 0))
    condition, values = where((*optional, ("owner = ?", owner)))
    sql = f"SELECT session, id FROM turns WHERE {condition} ORDER BY id"  # noqa: S608 - conditions are ours
    return list(connection.execute(sql, values))


def has_turn(connection: sqlite3.Connection, turn_id: str) -> bool:
    return connection.execute("SELECT 1 FROM turns WHERE id = ?", (turn_id,)).fetchone() is not None


def spent(
    connection: sqlite3.Connection,
    day: dt.date,
    session: str | None,
    owner: str | None,
    without: Collection[str],
) -> tuple[float, float, float]:
    totals = [
        sum(each.spent for each in tally(connection, query, whose))
        for query, whose in (
            (SpendingQuery(since=day, until=day), None),
            (SpendingQuery(by="session", session=session or ""), None),
            (SpendingQuery(since=day, until=day), owner or ""),
        )
    ]
    for turn_id in without:
        row = connection.execute(
            "SELECT day, session, owner, spent FROM turns WHERE id = ?", (turn_id,)
        ).fetchone()
        if row is not None:
            is_of_day = row[0] == day.isoformat()
            totals[0] -= row[3] if is_of_day else 0.0
            totals[1] -= row[3] if session is not None and row[1] == session else 0.0
            totals[2] -= row[3] if is_of_day and owner is not None and row[2] == owner else 0.0
    return totals[0], totals[1], totals[2]


def sessions_of(
    connection: sqlite3.Connection, ids: Iterable[str], owner: str | None
) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for used_id in ids:
        for table in ("turns", "images"):
            sql = f"SELECT session FROM {table} WHERE id = ?1 AND (?2 IS NULL OR owner = ?2)"  # noqa: S608 - names of tables
            for (session,) in connection.execute(sql, (used_id, owner)):
                found[used_id] = session
    return found


def where(optional: Iterable[tuple[str, object]]) -> tuple[str, list[object]]:
    """
    Combine conditions with AND, and leave out those whose value is None.
    """
    conditions = [(sql, value) for sql, value in optional if value is not None]
    return " AND ".join(sql for sql, _ in conditions) or "TRUE", [v for _, v in conditions]


def insert(connection: sqlite3.Connection, turns: Iterable[Turn], prefix: str = "") -> None:
    for turn in turns:
        # Deleted rather than replaced, so that the sums follow.
        connection.execute(f"DELETE FROM {prefix}turns WHERE id = ?", (turn.id,))  # noqa: S608 - prefixes are ours
        connection.execute(
            f"INSERT INTO {prefix}turns VALUES ({', '.join('?' * 16)})",  # noqa: S608 - as above
            _turn_row(turn),
        )
        connection.executemany(
            f"INSERT OR REPLACE INTO {prefix}images VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - as above
            [
                (
                    image.id,
                    turn.id,
                    turn.session,
                    utf8_or_none(turn.owner),
                    position,
                    turn.kind,
                    search_text(turn, image),
                )
                for position, image in enumerate(turn.images)
            ],
        )


def replace(connection: sqlite3.Connection, turn: Turn) -> None:
    """
    Insert a turn whose record was replaced, without the rows of images that it has no more.
    """
    connection.execute("DELETE FROM images WHERE turn = ?", (turn.id,))
    insert(connection, (turn,))


def _turn_row(turn: Turn) -> tuple[object, ...]:
    costs = cost_columns(turn)
    return (
        turn.id,
        turn.session,
        utf8_or_none(turn.owner),
        int(turn.deleted is not None),
        turn.kind,
        turn.status,
        utf8(turn.model or ""),
        utf8(turn.provider),
        day_of(turn).isoformat(),
        utf8_or_none(turn.idempotency_key),
        *(costs[name] for name in _COSTS),
    )
