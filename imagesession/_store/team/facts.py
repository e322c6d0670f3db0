"""
Facts in PostgreSQL: a row for each.

A turn's rows in the index are written in the transaction that settles it. Intents and batches are
lines of JSON, as on disk: members are added by appending a line, which needs no reading and may be
done twice.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from imagesession._domain.turn import Turn
from imagesession._store import codec
from imagesession._store.ports import (
    EXTENDED,
    FactExistsError,
    Facts,
    Key,
    Kind,
    Lease,
    LeaseLostError,
)
from imagesession._store.strict_reader import merge_lines
from imagesession.errors import StorageIOError

from . import rows
from .database import Database
from .schema import facts as table

_CLOCK_SECONDS = 60.0
_MANY = 500


class TeamFacts(Facts):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._clock = threading.Lock()
        self._offset: tuple[float, dt.datetime] | None = None

    def put_new(self, facts: Mapping[Key, bytes]) -> None:
        if len(facts) > 1 or not rows.INDEXED.isdisjoint(key.kind for key in facts):
            self._database.write(lambda connection: self._insert(connection, facts))
            return
        ((key, data),) = facts.items()
        statement = insert(table).values(_row(key, data)).on_conflict_do_nothing()
        if not self._database.all(statement.returning(table.c.id)):
            self._check_is_ours(key, data)

    def _insert(self, connection: sa.Connection, facts: Mapping[Key, bytes]) -> None:
        statement = insert(table).on_conflict_do_nothing().returning(table.c.id)
        values = [_row(key, data) for key, data in facts.items()]
        inserted = connection.execute(statement, values).all()
        if len(inserted) < len(values):
            raise FactExistsError(f"{self.describe(next(iter(facts)))} exists already.")
        for key, data in facts.items():
            rows.put(connection, key, data, is_new=True)
            if key.kind == "turn":  # it is settled; nothing has to learn of it from its intent
                connection.execute(_delete(Key("intent", key.id, key.session)))

    def _check_is_ours(self, key: Key, data: bytes) -> None:
        """
        Raise a `FactExistsError`, unless a fact is what an attempt has written whose answer was
        lost with its connection.
        """
        if self.get(key) != (merge_lines(data) if key.kind in EXTENDED else data):
            raise FactExistsError(f"{self.describe(key)} exists already.")

    def settle(self, turn: Turn, lease: Lease | None = None) -> None:
        """
        Write a turn and its rows, and remove its intent, if the lease is still ours: all in one
        statement. Its row is locked until then, so that nobody takes the lease over meanwhile.
        """
        data = codec.dump_turn(turn)
        values = {**rows.settling(turn), "data": data, "fence": lease and lease.fence}
        ((is_held, is_new),) = self._database.all(rows.SETTLE, values)
        if not is_held:
            raise LeaseLostError(
                f"The request of turn {turn.id} was given to another program; this one's outcome "
                "is not recorded."
            )
        if not is_new:
            self._check_is_ours(Key("turn", turn.id, turn.session), data)

    def replace(self, key: Key, data: bytes) -> None:
        new = insert(table).values(_row(key, data))
        statement = new.on_conflict_do_update(
            index_elements=table.primary_key, set_={"data": new.excluded.data}
        )

        def work(connection: sa.Connection) -> None:
            connection.execute(statement)
            rows.put(connection, key, data)

        self._database.write(work)

    def extend(self, key: Key, news: Mapping[str, Any]) -> None:
        line = b"\n" + json.dumps(dict(news)).encode("ascii")
        statement = sa.update(table).where(_is(key)).values(data=table.c.data.op("||")(line))
        if not self._database.run(lambda connection: connection.execute(statement).rowcount):
            raise StorageIOError(
                f"{self.describe(key)} is gone: another program has settled or dropped it."
            )

    def get(self, key: Key) -> bytes | None:
        return self.get_many((key,)).get(key)

    def get_many(self, keys: Iterable[Key]) -> dict[Key, bytes]:
        names = [(key.kind, key.session or "", key.id) for key in keys]
        found: dict[Key, bytes] = {}
        for start in range(0, len(names), _MANY):
            found.update(self._read(names[start : start + _MANY]))
        return found

    def _read(self, names: Sequence[tuple[str, str, str]]) -> Iterator[tuple[Key, bytes]]:
        name = sa.tuple_(table.c.kind, table.c.session, table.c.id)
        statement = sa.select(table).where(name.in_(names))
        return map(_fact, self._database.all(statement))

    def unsettled(self) -> Iterator[tuple[Key, bytes]]:
        turn = table.alias()
        is_settled = sa.exists().where(
            turn.c.kind == "turn", turn.c.session == table.c.session, turn.c.id == table.c.id
        )
        statement = (
            sa.select(table).where(table.c.kind == "intent", ~is_settled).order_by(table.c.id)
        )
        return map(_fact, self._database.all(statement))

    def has(self, key: Key) -> bool:
        statement = sa.select(sa.exists().where(_is(key)))
        return bool(self._database.all(statement)[0][0])

    def drop(self, key: Key) -> None:
        def work(connection: sa.Connection) -> None:
            connection.execute(_delete(key))
            rows.drop(connection, key)

        self._database.write(work)

    def scan(self, kind: Kind, session: str | None = None) -> Iterator[Key]:
        statement = sa.select(table.c.session, table.c.id).where(table.c.kind == kind)
        if kind == "turn":
            statement = statement.where(table.c.session == (session or ""))
        found = self._database.all(statement.order_by(table.c.id))
        return (Key(kind, row.id, row.session or None) for row in found)

    def transaction(self, name: str) -> AbstractContextManager[None]:
        return self._database.transaction(name)

    def now(self) -> dt.datetime:
        """
        Return the time by the database's clock, which is asked once a minute; in between, only the
        steady clock of this machine counts.
        """
        with self._clock:
            known = self._offset
            if known is None or time.monotonic() - known[0] > _CLOCK_SECONDS:
                asked = time.monotonic()
                known = self._offset = asked, self._database.all(_NOW)[0][0]
            return (known[1] + dt.timedelta(seconds=time.monotonic() - known[0])).astimezone(dt.UTC)

    def describe(self, key: Key) -> str:
        return f"The {key.kind} {key.id} in {self._database.name}"


_NOW = sa.select(sa.func.clock_timestamp())


def _row(key: Key, data: bytes) -> dict[str, Any]:
    return {"kind": key.kind, "session": key.session or "", "id": key.id, "data": data}


def _fact(row: Sequence[Any]) -> tuple[Key, bytes]:
    kind, session, fact_id, data = row
    merged = merge_lines(bytes(data)) if kind in EXTENDED else bytes(data)
    return Key(kind, fact_id, session or None), merged


def _is(key: Key) -> sa.ColumnElement[bool]:
    return sa.and_(
        table.c.kind == key.kind, table.c.session == (key.session or ""), table.c.id == key.id
    )


def _delete(key: Key) -> sa.Delete:
    return sa.delete(table).where(_is(key))
