"""
The index on disk: a database that learns of turns late.

An intent stays in the journal until its turn is in the database, and lookups include the turns that
are not there yet. So settling a turn need not wait for the database to be flushed, and nothing is
lost if a process dies in between.
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeAlias, TypeVar

import attrs

from imagesession._domain.turn import Turn
from imagesession._engine.image_queries import CostTotals, ImageQuery, SpendingQuery
from imagesession._store import codec
from imagesession._store.files.atomic_write import replace_durable, translate_os_errors
from imagesession._store.ids import timestamp_of
from imagesession._store.index_rows import budget_cost
from imagesession._store.ports import ImageLocation, Index, Key
from imagesession.errors import StorageError

from . import index_schema, session_index_schema
from .database import Database
from .layout import STANDALONE, Layout
from .session_index import SessionIndex

MAX_PENDING_IN_LOOKUPS = 16
MAX_UNINDEXED = 200
T = TypeVar("T")
Query: TypeAlias = Callable[[sqlite3.Connection], T]


class DiskIndex(Index):
    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.database = Database(layout.index, self._scan, layout.turns)
        self.session_index = SessionIndex(self.database, layout)
        self._settled: dict[str, Turn] = {}
        self._unindexed = 0
        self._owner: str | None = None

    def of(self, owner: str) -> DiskIndex:
        view = copy.copy(self)
        view._owner = owner  # noqa: SLF001 - it is our own
        return view

    def find(self, image_id: str) -> ImageLocation | None:
        with self._errors():
            return self.database.query(
                lambda connection: index_schema.find(connection, image_id, self._owner),
                self.refresh(),
            )

    def page(self, query: ImageQuery) -> list[ImageLocation]:
        with self._errors():
            return self.session_index.query(
                lambda connection: index_schema.page(connection, query, self._owner),
                self.refresh(),
                waits=False,
            )

    def tally(self, query: SpendingQuery) -> list[CostTotals]:
        with self._errors():
            return self.database.query(
                lambda connection: index_schema.tally(connection, query, self._owner),
                self.refresh(),
            )

    def spent(
        self,
        day: dt.date,
        session: str | None,
        owner: str | None,
        without: Collection[str] = (),
    ) -> tuple[float, float, float]:
        with self._errors():
            known, unindexed = self._with_unindexed(
                lambda connection: index_schema.spent(connection, day, session, owner, without)
            )
        counted = [turn for turn in unindexed if turn.id not in without]
        of_day = [turn for turn in counted if timestamp_of(turn.id).date() == day]
        today = sum(map(budget_cost, of_day))
        own = sum(budget_cost(turn) for turn in counted if turn.session == (session or ""))
        owners = sum(budget_cost(turn) for turn in of_day if turn.owner == (owner or ""))
        return known[0] + today, known[1] + own, known[2] + owners

    def settled_under(
        self, idempotency_keys: Collection[str], owner: str | None
    ) -> dict[str, list[Key]]:
        with self._errors():
            found, unindexed = self._with_unindexed(
                lambda connection: {
                    key: set(index_schema.find_intent(connection, key, owner))
                    for key in idempotency_keys
                }
            )
        for turn in unindexed:
            if turn.idempotency_key in found and turn.owner == owner:
                found[turn.idempotency_key].add((turn.session, turn.id))
        return {
            key: [
                Key("turn", turn, session)
                for session, turn in sorted(rows, key=lambda row: row[1], reverse=True)
            ]
            for key, rows in found.items()
        }

    def turns(self, before: str | None = None) -> list[Key]:
        with self._errors():
            found = self.database.query(
                lambda connection: index_schema.turns(connection, before, self._owner),
                self.refresh(),
            )
        return [Key("turn", turn, session) for session, turn in found]

    def sessions_of(self, ids: Iterable[str]) -> dict[str, str | None]:
        wanted = set(ids)
        with self._errors():
            found, unindexed = self._with_unindexed(
                lambda connection: index_schema.sessions_of(connection, wanted, self._owner)
            )
        for turn in unindexed:
            if self._owner not in {None, turn.owner}:
                continue
            used = {turn.id, *(image.id for image in turn.images)}
            found.update(dict.fromkeys(used & wanted, turn.session))
        return found

    def sessions(
        self,
        name: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        *,
        deleted: bool = False,
    ) -> list[str]:
        with translate_os_errors(self._layout.sessions):
            return self.session_index.query(
                lambda connection: session_index_schema.page(
                    connection, limit, before, self._owner, name=name, deleted=deleted
                )
            )

    def count_sessions(self) -> int:
        with translate_os_errors(self._layout.sessions):
            return self.session_index.query(
                lambda connection: session_index_schema.count(connection, self._owner)
            )

    def active(self, since: str) -> list[tuple[str, str]]:
        with translate_os_errors(self._layout.sessions):
            return self.session_index.query(
                lambda connection: session_index_schema.active(connection, since, self._owner),
                self.refresh(),
            )

    def rebuild(self) -> None:
        with self._errors():
            self.database.force_rebuild()

    # --- turns that are not indexed ---------------------------------------------------------------

    def settled(self, turn: Turn) -> None:
        if turn.has_image:  # any other may be carried out after all, as another program finds
            self._settled[turn.id] = turn
        self._unindexed += 1
        if self._unindexed > MAX_UNINDEXED:
            with contextlib.suppress(StorageError, OSError):
                self.refresh(max_pending=0)

    def replace_turn(self, turn: Turn, data: bytes) -> None:
        """
        Write another record in place of a turn's, durably, and its rows. If the process dies in
        between, whoever replaces the record does so again.
        """
        file = self._layout.turn_file(turn.session, turn.id)
        if self._is_unindexed(turn):
            # Other programs have kept what the record says as long as the intent is there. It goes
            # only when the index has the turn: otherwise nothing would say that it is missing.
            self.refresh(max_pending=0)
        self._settled.pop(turn.id, None)
        with self.database.locked() as connection:
            replace_durable(file, data, self._layout.tmp)
            index_schema.replace(connection, turn)

    def refresh(self, *, max_pending: int = MAX_PENDING_IN_LOOKUPS) -> tuple[Turn, ...]:
        """
        Index the turns that any process has settled since, and remove their intents; return those
        that lookups have to include. Up to `max_pending` may stay unindexed, so that lookups need
        not wait.
        """
        settled = tuple(self._unindexed_turns())
        if self.database.is_locked_here or 0 < len(settled) <= max_pending:
            return settled
        self._unindexed = 0
        try:
            if settled:
                self.database.add(settled, self._is_unindexed)
            for turn in settled:
                self._layout.journal_file(turn.id, turn.session).unlink(missing_ok=True)
        except (StorageError, OSError):
            return settled  # the index cannot be written now
        self._settled.clear()
        return ()

    def entries(self) -> Iterator[Key]:
        for name in sorted(os.listdir(self._layout.journal)):  # noqa: PTH208 - names will do
            turn_id, _, remainder = name.partition(".")
            session, _, suffix = remainder.partition(".")
            if suffix == "jsonl":
                yield Key("intent", turn_id, None if session == STANDALONE else session)

    def _is_unindexed(self, turn: Turn) -> bool:
        return self._layout.journal_file(turn.id, turn.session).exists()

    def _unindexed_turns(self) -> Iterator[Turn]:
        for key in self.entries():
            # Cached: beside busy threads, each file that is read costs a wait for the GIL.
            turn = self._settled.get(key.id)
            file = self._layout.turn_file(key.session, key.id)
            if turn is None and file.exists():
                # A damaged record stays; reading its session reports the damage.
                with contextlib.suppress(StorageError, OSError):
                    turn = codec.read_turn(file.read_bytes(), str(file))
                    if turn.has_image:
                        self._settled[key.id] = turn
            if turn is not None:
                yield turn

    def _with_unindexed(self, query: Query[T]) -> tuple[T, list[Turn]]:
        unindexed = self.refresh()

        def work(connection: sqlite3.Connection) -> tuple[T, list[Turn]]:
            missing = [turn for turn in unindexed if not index_schema.has_turn(connection, turn.id)]
            return query(connection), missing

        return self.database.query(work, ())

    def _scan(self) -> Iterator[Turn]:
        """
        Read all turns from the records. Damaged records are skipped: their images are still in
        their folders, and reading the session reports the damage.
        """
        for folder in sorted(self._layout.turns.iterdir()):
            session = None if folder.name == STANDALONE else folder.name
            for file in sorted(folder.glob("*.json")):
                with contextlib.suppress(StorageError):
                    turn = codec.read_turn(file.read_bytes(), str(file))
                    yield attrs.evolve(turn, session=session)

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return translate_os_errors(self._layout.index)
