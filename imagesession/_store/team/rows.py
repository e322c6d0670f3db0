"""
The rows of the index, written in the transactions of the facts that they reflect.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from imagesession._domain.turn import Turn
from imagesession._domain.wording import fold
from imagesession._store import codec
from imagesession._store.index_rows import cost_columns, day_of, search_text, touched, utf8
from imagesession._store.ports import Key, Kind
from imagesession.errors import StorageError

from .schema import images, marks, sessions, totals, turns

# Programs that settle turns at the same moment add to one row of a sum with a chance of 1 in 8.
_PARTS = 8
_SUMS = ("cost", "spent", "context", "images", "turns", "uncertain", "context_tokens")
_GROUP = ("day", "kind", "model", "provider")
INDEXED: frozenset[Kind] = frozenset({"turn", "session", "marks"})
"""The kinds of facts that have rows."""
# What is added for each row of `new`, which is the turn, or nothing.
_ROWS = """
    turn AS (
        INSERT INTO turns (id, session, owner, erased, kind, model, provider, day, idempotency_key,
            cost, spent, context, images, uncertain, context_tokens)
        SELECT new.id, :session, :owner, :erased, :kind, :model, :provider, :day, :idempotency_key,
            :cost, :spent, :context, :images, :uncertain, :context_tokens FROM new
    ), picture AS (
        INSERT INTO images (id, turn, session, owner, position, kind, words)
        SELECT item.id, new.id, :session, :owner, item.number - 1, :kind, item.words
        FROM new, unnest(CAST(:pictures AS text[]), CAST(:words AS text[]))
            WITH ORDINALITY AS item (id, words, number)
    ), summed AS (
        INSERT INTO totals AS known (day, kind, model, provider, part, cost, spent, context,
            images, turns, uncertain, context_tokens)
        SELECT :day, :kind, :model, :provider, :part, :cost, :spent, :context, :images, 1,
            :uncertain, :context_tokens FROM new
        ON CONFLICT (day, kind, model, provider, part) DO UPDATE SET
            cost = known.cost + excluded.cost,
            spent = known.spent + excluded.spent,
            context = known.context + excluded.context,
            images = known.images + excluded.images,
            turns = known.turns + excluded.turns,
            uncertain = known.uncertain + excluded.uncertain,
            context_tokens = known.context_tokens + excluded.context_tokens
    )
"""
ADD_ROWS = sa.text(f"WITH new AS (SELECT CAST(:id AS text) AS id), {_ROWS} SELECT 1")
"""Adds the rows of a turn."""
SETTLE = sa.text(f"""
    WITH held AS (
        SELECT fence FROM rights WHERE fence = :fence FOR SHARE
    ), new AS (
        INSERT INTO facts (kind, session, id, data)
        SELECT 'turn', :place, :id, :data
        WHERE CAST(:fence AS bigint) IS NULL OR EXISTS (SELECT FROM held)
        ON CONFLICT DO NOTHING RETURNING id
    ), done AS (
        DELETE FROM facts USING new
        WHERE facts.kind = 'intent' AND facts.session = :place AND facts.id = new.id
    ), {_ROWS}
    SELECT CAST(:fence AS bigint) IS NULL OR EXISTS (SELECT FROM held), EXISTS (SELECT FROM new)
""")  # noqa: S608 - our own words
"""Writes a turn and its rows in place of its intent; returns whether the lease is held, and whether
the turn is new."""


def put(connection: sa.Connection, key: Key, data: bytes, *, is_new: bool = False) -> None:
    """
    Write the rows of a fact in the transaction that wrote it, in place of those that it had. If it
    cannot be read, a turn has no rows, and a session no name.
    """
    if key.kind == "turn":
        if not is_new:
            drop(connection, key)
        with contextlib.suppress(StorageError):
            connection.execute(ADD_ROWS, settling(codec.read_turn(data, key.id)))
    elif key.kind == "session":
        _put_session(connection, key, data)
    elif key.kind == "marks":
        drop(connection, key)
        _add_marks(connection, key, data)


def drop(connection: sa.Connection, key: Key) -> None:
    if key.kind == "session":
        connection.execute(sa.delete(sessions).where(sessions.c.id == key.id))
    if key.kind == "marks":
        connection.execute(sa.delete(marks).where(marks.c.owner == key.id))
    if key.kind != "turn":
        return
    statement = sa.delete(turns).where(turns.c.id == key.id).returning(turns)
    for row in connection.execute(statement).mappings():
        _add_to_totals(connection, {**row, "turns": 1}, sign=-1)
    connection.execute(sa.delete(images).where(images.c.turn == key.id))


def clear(connection: sa.Connection) -> None:
    """
    Remove all rows, and keep other programs from writing some.
    """
    for table in (turns, images, sessions, marks, totals):
        connection.execute(sa.text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))
        connection.execute(sa.delete(table))


def exact_bytes(idempotency_key: str) -> bytes:
    """
    Return a key as bytes: a text in PostgreSQL cannot have NUL and lone surrogates.
    """
    return idempotency_key.encode("utf-8", "surrogatepass")


def plain(text: str) -> str:
    """
    Return a text as PostgreSQL can hold it; the record has it as it is.
    """
    return utf8(text).replace("\0", " ")


def settling(turn: Turn) -> dict[str, Any]:
    key = turn.idempotency_key
    return {
        "id": turn.id,
        "session": turn.session,
        "place": turn.session or "",
        "owner": None if turn.owner is None else plain(turn.owner),
        "erased": turn.deleted is not None,
        "kind": turn.kind,
        "model": plain(turn.model or ""),
        "provider": plain(turn.provider),
        "day": day_of(turn),
        "idempotency_key": None if key is None else exact_bytes(key),
        "part": secrets.randbelow(_PARTS),
        "pictures": [image.id for image in turn.images],
        "words": [plain(search_text(turn, image)) for image in turn.images],
        **cost_columns(turn),
    }


def _add_to_totals(connection: sa.Connection, row: Mapping[str, Any], *, sign: int) -> None:
    added = {name: sign * row[name] for name in _SUMS}
    group = {name: row[name] for name in _GROUP}
    new = insert(totals).values({**group, "part": secrets.randbelow(_PARTS), **added})
    sums = {name: totals.c[name] + new.excluded[name] for name in _SUMS}
    connection.execute(new.on_conflict_do_update(index_elements=totals.primary_key, set_=sums))


def _put_session(connection: sa.Connection, key: Key, data: bytes) -> None:
    row: dict[str, Any] = {"id": key.id, "owner": None, "name": None, "open": False, "touched": ""}
    with contextlib.suppress(StorageError):
        record = codec.read_session(data, key.id)
        row |= {
            "owner": None if record.owner is None else plain(record.owner),
            "name": plain(fold(record.name or "")),
            "open": record.closed is None,
            "touched": touched(record),
        }
    new = insert(sessions).values(row)
    others = {name: new.excluded[name] for name in row if name != "id"}
    connection.execute(new.on_conflict_do_update(index_elements=[sessions.c.id], set_=others))


def _add_marks(connection: sa.Connection, key: Key, data: bytes) -> None:
    with contextlib.suppress(StorageError):
        added = [
            {
                "id": plain(marked_id),
                "owner": key.id,
                "deleted": mark.deleted is not None,
                "erased": mark.erased,
                "starred": mark.starred,
                "tags": [plain(fold(tag)) for tag in mark.tags],
            }
            for marked_id, mark in codec.read_marks(data, key.id).items()
        ]
        if added:
            connection.execute(insert(marks), added)
