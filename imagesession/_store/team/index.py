"""
The index in PostgreSQL: tables that are written together with the facts.

Costs by day, model, kind and provider come from sums that each turn adds to, so that they take as
long after a million images as after a thousand. Money is `numeric`, and so exact.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from imagesession._domain.turn import is_id
from imagesession._domain.wording import fold
from imagesession._engine.image_queries import CostTotals, ImageQuery, SpendingQuery
from imagesession._store.ids import first_id
from imagesession._store.ports import ImageLocation, Index, Key

from . import rows
from .database import Database
from .schema import facts, images, marks, sessions, totals, turns

_LATEST = 5000
_LOCATION = (images.c.id, images.c.turn, images.c.session, images.c.position)


class TeamIndex(Index):
    def __init__(self, database: Database, owner: str | None = None) -> None:
        self._database = database
        self._owner = owner

    def of(self, owner: str) -> TeamIndex:
        return TeamIndex(self._database, owner)

    def _is_own(self, table: sa.FromClause) -> sa.ColumnElement[bool]:
        return sa.true() if self._owner is None else table.c.owner == self._owner

    def find(self, image_id: str) -> ImageLocation | None:
        ending = sa.func.reverse(images.c.id).startswith(
            rows.plain(image_id)[::-1], autoescape=True
        )
        which = images.c.id == image_id if is_id(image_id) else ending
        statement = sa.select(*_LOCATION).where(which, self._is_own(images)).limit(2)
        found = self._database.all(statement)
        return ImageLocation(*found[0]) if len(found) == 1 else None

    def page(self, query: ImageQuery) -> list[ImageLocation]:
        own = sa.select(images).where(*_described(query), self._is_own(images))
        if not query.text:
            return self._page(own.subquery(), query)
        # PostgreSQL guesses badly how far back it has to look for words, so it is told: among the
        # latest images, and if too few of those have them, among all that have.
        latest = own.order_by(images.c.id.desc()).limit(_LATEST).subquery()
        found = self._page(latest, query, _contains(latest, query.text))
        if len(found) == query.limit:
            return found
        having = own.where(_contains(images, query.text)).cte("having")
        return self._page(having.prefix_with("MATERIALIZED"), query)

    def _page(
        self, table: sa.FromClause, query: ImageQuery, *more: sa.ColumnElement[bool]
    ) -> list[ImageLocation]:
        columns = [table.c[column.name] for column in _LOCATION]
        wanted = sa.select(*columns).where(*_marked(table, query), *more)
        statement = wanted.order_by(table.c.id.desc()).limit(query.limit)
        return [ImageLocation(*row) for row in self._database.all(statement)]

    def tally(self, query: SpendingQuery) -> list[CostTotals]:
        # The sums of days know neither sessions nor owners.
        is_single = query.by in {"session", "owner"} or query.session is not None
        by_turn = is_single or self._owner is not None
        source = turns if by_turn else totals
        count = sa.func.count() if by_turn else sa.func.sum(totals.c.turns)
        group = sa.func.coalesce(sa.cast(source.c[query.by], sa.Text), "")
        summed = [
            sa.func.coalesce(sa.func.sum(source.c[name]), 0)
            for name in ("cost", "spent", "uncertain", "images")
        ]
        context = [sa.func.sum(source.c[name]) for name in ("context", "context_tokens")]
        conditions = [] if query.since is None else [source.c.day >= query.since]
        conditions += [] if query.until is None else [source.c.day <= query.until]
        conditions += [] if query.session is None else [turns.c.session == query.session]
        conditions += [] if self._owner is None else [self._is_own(turns)]
        statement = sa.select(group, *summed, count, *context).where(*conditions)
        grouped = statement.group_by(group).having(count > 0).order_by(group)
        return [_to_totals(row) for row in self._database.all(grouped)]

    def spent(
        self,
        day: dt.date,
        session: str | None,
        owner: str | None,
        without: Collection[str] = (),
    ) -> tuple[float, float, float]:
        whole = _spent(totals).where(totals.c.day == day)
        less = _spent(turns).where(turns.c.id.in_(tuple(without)), turns.c.day == day)
        others = _spent(turns).where(turns.c.id.not_in(tuple(without)))
        of_session = others.where(turns.c.session == (session or ""))
        of_owner = others.where(turns.c.owner == (owner or ""), turns.c.day == day)
        today = whole.scalar_subquery() - less.scalar_subquery()
        statement = sa.select(today, of_session.scalar_subquery(), of_owner.scalar_subquery())
        ((for_day, for_session, for_owner),) = self._database.all(statement)
        return float(for_day), float(for_session), float(for_owner)

    def settled_under(
        self, idempotency_keys: Collection[str], owner: str | None
    ) -> dict[str, list[Key]]:
        found: dict[str, list[Key]] = {key: [] for key in idempotency_keys}
        names = {rows.exact_bytes(key): key for key in idempotency_keys}
        statement = (
            sa.select(turns.c.idempotency_key, turns.c.id, turns.c.session)
            .where(turns.c.idempotency_key.in_(names), turns.c.owner.is_not_distinct_from(owner))
            .order_by(turns.c.id.desc())
        )
        for name, turn, session in self._database.all(statement):
            found[names[bytes(name)]].append(Key("turn", turn, session))
        return found

    def turns(self, before: str | None = None) -> list[Key]:
        statement = sa.select(turns.c.id, turns.c.session).where(self._is_own(turns))
        if before is not None:
            statement = statement.where(turns.c.id < before, ~turns.c.erased)
        found = self._database.all(statement.order_by(turns.c.id))
        return [Key("turn", row.id, row.session) for row in found]

    def sessions_of(self, ids: Iterable[str]) -> dict[str, str | None]:
        wanted = tuple(set(ids))
        both = sa.union_all(
            *(
                sa.select(table.c.id, table.c.session).where(
                    table.c.id.in_(wanted), self._is_own(table)
                )
                for table in (turns, images)
            )
        )
        return {row.id: row.session for row in self._database.all(sa.select(both.subquery()))}

    def sessions(
        self,
        name: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        *,
        deleted: bool = False,
    ) -> list[str]:
        own = sa.select(sessions.c.id).where(self._is_own(sessions))
        statement = own.order_by(sessions.c.id.desc()).limit(limit)
        is_in_bin = sa.and_(_IS_DELETED, ~_is_marked("erased", sessions.c.id))
        statement = statement.where(is_in_bin if deleted else ~_IS_DELETED)
        if name is not None:
            named = sessions.c.name == rows.plain(fold(name))
            statement = statement.where(sa.or_(named, sessions.c.name.is_(None)))
        if before is not None:
            statement = statement.where(sessions.c.id < before)
        return [row.id for row in self._database.all(statement)]

    def count_sessions(self) -> int:
        own = sa.select(sa.func.count()).select_from(sessions).where(self._is_own(sessions))
        # Hardly any are deleted, so those are counted and not all are looked up.
        deleted = own.where(sessions.c.id.in_(sa.select(marks.c.id).where(marks.c.deleted)))
        statement = sa.select(own.scalar_subquery() - deleted.scalar_subquery())
        return int(self._database.all(statement)[0][0])

    def active(self, since: str) -> list[tuple[str, str]]:
        own = turns.c.session == sessions.c.id
        latest = sa.select(sa.func.max(turns.c.id)).where(own).scalar_subquery()
        last = sa.func.greatest(sessions.c.touched, sa.func.coalesce(latest, ""))
        recent = sa.select(turns.c.session).where(turns.c.id >= since)
        is_recent = sa.or_(sessions.c.touched >= since, sessions.c.id.in_(recent))
        which = sessions.c.open, is_recent, ~_IS_DELETED, self._is_own(sessions)
        statement = sa.select(sessions.c.id, last).where(*which)
        return [(row[0], row[1]) for row in self._database.all(statement)]

    def rebuild(self) -> None:
        def work(connection: sa.Connection) -> None:
            rows.clear(connection)
            which = facts.c.kind.in_(sorted(rows.INDEXED))
            statement = sa.select(facts).where(which).execution_options(yield_per=1000)
            for row in connection.execute(statement):
                key = Key(row.kind, row.id, row.session or None)
                rows.put(connection, key, bytes(row.data), is_new=True)

        self._database.write(work)


def _is_marked(flag: str, *ids: sa.ColumnElement[str]) -> sa.Exists:
    return sa.exists().where(marks.c.id.in_(ids), marks.c[flag])


def _has_tag(image_id: sa.ColumnElement[str], tag: str) -> sa.ColumnElement[bool]:
    named = marks.c.tags.contains([rows.plain(fold(tag))])
    return sa.exists().where(marks.c.id == image_id, named)


def _described(query: ImageQuery) -> list[sa.ColumnElement[bool]]:
    own = images.c
    conditions = (
        (own.session.__eq__, query.session),
        (own.kind.__eq__, query.kind),
        (own.id.__ge__, first_id(query.since) if query.since else None),
        (own.id.__lt__, first_id(query.until) if query.until else None),
        (own.id.__lt__, query.before),
    )
    return [compare(value) for compare, value in conditions if value is not None]


def _marked(table: sa.FromClause, query: ImageQuery) -> list[sa.ColumnElement[bool]]:
    own = table.c
    wanted = [_is_marked("deleted", own.id, own.session) == query.deleted]
    wanted += [_has_tag(own.id, tag) for tag in query.tags]
    if query.starred is not None:
        wanted.append(_is_marked("starred", own.id) == query.starred)
    return wanted


_IS_DELETED = _is_marked("deleted", sessions.c.id)


def _spent(table: sa.Table) -> sa.Select[Any]:
    return sa.select(sa.func.coalesce(sa.func.sum(table.c.spent), 0))


def _contains(table: sa.FromClause, text: str) -> sa.ColumnElement[bool]:
    return table.c.words.contains(rows.plain(fold(text)), autoescape=True)


def _to_totals(row: Sequence[Any]) -> CostTotals:
    group, cost, spent, uncertain, pictures, count, context, tokens = row
    return CostTotals(
        group=group,
        cost=float(cost),
        spent=float(spent),
        uncertain=int(uncertain),
        images=int(pictures),
        turns=int(count),
        context=float(context),
        context_tokens=int(tokens),
    )
