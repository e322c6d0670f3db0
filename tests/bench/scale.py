"""
How long a library of many images takes for what it is asked, beside one of few.

    python -m tests.bench.scale disk|team [FEW MANY]

Rows are written directly: a turn of one image each, in sessions of a hundred, over 400 days. All
say "teapot", one in a hundred "lighthouse", and ten "heron". One owner has a fifth of them, and all
others 2,000 each. In a folder, only the records that are opened are written. By default there are
10,000 and 1,000,000, which takes minutes and gigabytes.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from imagesession._api.config import open_store
from imagesession._domain.cost import Cost
from imagesession._domain.options import GenerateOptions
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._domain.wording import fold
from imagesession._engine.image_queries import ImageQuery, SpendingQuery
from imagesession._store import codec
from imagesession._store.disk import index_schema
from imagesession._store.disk.database import INDEX_VERSION
from imagesession._store.index_rows import cost_columns, search_text
from imagesession._store.library import LibraryStore
from tests import team_servers
from tests.bench.figures import seconds_of, working_folder

DAYS, PER_SESSION, ROUNDS = 400, 100, 15
MANY, FEW = "many", "owner 2"
"""An owner of a fifth of all images, and one of 2,000."""
END = dt.datetime.now(dt.UTC).replace(microsecond=0)


@attrs.frozen
class Content:
    """
    The content of a library.

    Attributes:
        count: How many turns it has.
    """

    count: int

    def turn_id(self, number: int) -> str:
        """
        Return the id of a turn.
        """
        return f"01{2 * number:024}"

    def image_id(self, number: int) -> str:
        """
        Return the id of a turn's image.
        """
        return f"01{2 * number + 1:024}"

    def session_id(self, number: int) -> str:
        """
        Return the id of a turn's session.
        """
        return f"00{number // PER_SESSION:024}"

    def owner(self, number: int) -> str:
        """
        Return the owner of a turn.
        """
        session = number // PER_SESSION
        return MANY if session % 5 == 0 else f"owner {session // 25}"

    def sessions(self) -> Iterator[SessionRecord]:
        """
        Yield the sessions of all turns.
        """
        for number in range(0, self.count, PER_SESSION):
            yield SessionRecord(
                id=self.session_id(number), description="A logo", name=f"Tea {number}",
                created=END, owner=self.owner(number),
            )  # fmt: skip

    def opened(self, owner: str | None) -> list[int]:
        """
        Return the first turns of the oldest sessions: an owner's, or anybody's.
        """
        firsts = range(0, self.count, PER_SESSION)
        own = [number for number in firsts if owner in {None, self.owner(number)}]
        return own[: ROUNDS + 1]

    def turn(self, number: int) -> Turn:
        """
        Return a turn.
        """
        return attrs.evolve(
            _TURN, id=self.turn_id(number), session=self.session_id(number),
            owner=self.owner(number),
            images=(attrs.evolve(_IMAGE, id=self.image_id(number)),),
        )  # fmt: skip

    def values(self) -> dict[str, object]:
        """
        Return the values of `_NUMBERS`, and of all rows.
        """
        first = END.date() - dt.timedelta(days=DAYS - 1)
        return {
            **cost_columns(_TURN), "count": self.count, "first": first, "kind": _TURN.kind,
            "model": _TURN.model or "", "provider": _TURN.provider, "status": _TURN.status,
            "prompt": search_text(_TURN, _IMAGE),
        }  # fmt: skip


_IMAGE = ImageRecord(
    id="", file="general/x.png", format="png", width=1024, height=1024,
    bytes=1_500_000, sha256="0" * 64,
    revised_prompt="A sketch in the style of many others before it. " * 3,
)  # fmt: skip
_TURN = Turn(
    id="", session="", status="completed", prompt="a teapot", images=(_IMAGE,),
    options=GenerateOptions(quality="high"), started=END, finished=END,
    cost=Cost(mainline=0.0, image=0.053, prices=dt.date(2026, 11, 24)),
)  # fmt: skip

# --- filling ----------------------------------------------------------------------------------

_WORDS = """
    :prompt || ' number ' || i || CASE WHEN i % 100 = 0 THEN ' by a lighthouse' ELSE '' END
    || CASE WHEN i % (:count / 10) = 0 THEN ' with a heron' ELSE '' END
"""
_OWNER = f"""
    CASE WHEN i / {PER_SESSION} % 5 = 0 THEN '{MANY}' ELSE 'owner ' || i / {PER_SESSION * 25} END
"""
_IN_FOLDER = (
    f"""
    CREATE TEMP TABLE new AS
    WITH RECURSIVE numbers (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers
        WHERE i < :count - 1)
    SELECT i, printf('01%024d', 2 * i) AS turn, printf('01%024d', 2 * i + 1) AS image,
        printf('00%024d', i / {PER_SESSION}) AS session,
        date(:first, '+' || (i * {DAYS} / :count) || ' days') AS day, {_WORDS} AS words,
        {_OWNER} AS owner
    FROM numbers
    """,  # noqa: S608 - our own words
    """
    INSERT INTO turns SELECT turn, session, owner, 0, :kind, :status, :model, :provider, day,
        'key ' || i, :images, :cost, :uncertain, :spent, :context, :context_tokens FROM new
    """,
    "INSERT INTO images SELECT image, turn, session, owner, 0, :kind, words FROM new",
)
_SESSION = """
    WITH named AS (INSERT INTO sessions VALUES (:id, :name, true, :id, :owner))
    INSERT INTO facts VALUES ('session', '', :id, :data)
"""
_IN_DATABASE = (
    "DROP INDEX images_by_words",
    f"""
    CREATE UNLOGGED TABLE new AS
    SELECT i, '01' || lpad((2 * i)::text, 24, '0') AS turn,
        '01' || lpad((2 * i + 1)::text, 24, '0') AS image,
        '00' || lpad((i / {PER_SESSION})::text, 24, '0') AS session,
        :first ::date + (i * {DAYS} / :count)::int AS day, {_WORDS} AS words,
        {_OWNER} AS owner
    FROM generate_series(0, :count - 1) AS i
    """,  # noqa: S608 - our own words
    """
    INSERT INTO facts (kind, session, id, data)
    SELECT 'turn', session, turn,
        convert_to(replace(replace(:record, '@', turn), '#', session), 'UTF8') FROM new
    """,
    """
    INSERT INTO turns (id, session, owner, kind, model, provider, day, idempotency_key,
        cost, spent, context, images, uncertain, context_tokens)
    SELECT turn, session, owner, :kind, :model, :provider, day, convert_to('key ' || i, 'UTF8'),
        :cost, :spent, :context, :images, :uncertain, :context_tokens FROM new
    """,
    """
    INSERT INTO images (id, turn, session, owner, position, kind, words)
    SELECT image, turn, session, owner, 0, :kind, words FROM new
    """,
    """
    INSERT INTO totals (day, kind, model, provider, part, cost, spent, context, images, turns,
        uncertain, context_tokens)
    SELECT day, kind, model, provider, 0, sum(cost), sum(spent), sum(context), sum(images),
        count(*), sum(uncertain), sum(context_tokens) FROM turns GROUP BY 1, 2, 3, 4
    """,
    "CREATE INDEX images_by_words ON images USING gin (words gin_trgm_ops)",
    "DROP TABLE new",
    "VACUUM ANALYZE",
)


def fill_folder(folder: Path, content: Content) -> None:
    """
    Write the index of a library in a folder, and the records of what is opened.
    """
    open_store(folder, {}).close()
    inner = folder / ".imagesession"
    for record in content.sessions():
        (inner / "turns" / record.id).mkdir()
        (inner / "sessions" / f"{record.id}.json").write_bytes(codec.dump_session(record))
    for first in {first for owner in (None, MANY, FEW) for first in content.opened(owner)}:
        for turn in map(content.turn, range(first, first + PER_SESSION)):
            file = inner / "turns" / content.session_id(first) / f"{turn.id}.json"
            file.write_bytes(codec.dump_turn(turn))
    index = sqlite3.connect(inner / "index.sqlite", isolation_level=None)
    index.execute("PRAGMA temp_store = MEMORY")
    index.execute("BEGIN")
    index_schema.create_tables(index)
    values = {**content.values(), "first": str(content.values()["first"])}
    for statement in _IN_FOLDER:
        index.execute(statement, values)
    index.execute(f"PRAGMA user_version = {INDEX_VERSION}")
    index.execute("COMMIT")
    index.close()


def fill_database(url: str, content: Content) -> None:
    """
    Write the rows of a library on PostgreSQL.
    """
    import sqlalchemy as sa  # noqa: PLC0415 - of an extra

    from imagesession._store.team.address import parse_address  # noqa: PLC0415 - as above
    from imagesession._store.team.database import Database  # noqa: PLC0415 - as above

    database = Database(parse_address(url))
    pattern = attrs.evolve(_TURN, id="@", session="#", images=(attrs.evolve(_IMAGE, id="@"),))
    record = codec.dump_turn(pattern)
    values = {**content.values(), "record": record.decode("ascii")}
    sessions = [
        {
            "id": each.id, "name": fold(each.name or ""), "owner": each.owner,
            "data": codec.dump_session(each),
        }
        for each in content.sessions()
    ]  # fmt: skip

    def fill(connection: sa.Connection) -> None:
        connection.execute(sa.text(_SESSION), sessions)
        for statement in map(sa.text, _IN_DATABASE):
            connection.execute(
                statement, {name: values[name] for name in statement.compile().params}
            )

    database.run(fill)
    database.close()


# --- asking -----------------------------------------------------------------------------------


def questions(
    store: LibraryStore, content: Content, owner: str | None = None
) -> dict[str, Callable[[int], object]]:
    """
    Return what is asked, about all or about an owner's; each takes the number of the round, so that
    nothing is asked twice.
    """
    seen = store if owner is None else store.seen_by(owner)
    index = store.ports.index if owner is None else store.ports.index.of(owner)
    opened = content.opened(owner)

    def page(**query: Any) -> object:
        return index.page(ImageQuery(limit=50, **query))

    def claim(number: int) -> None:
        turn = attrs.evolve(
            _TURN, id=store.new_id().id, session=content.session_id(opened[0]), images=(),
            idempotency_key=f"new {number}", status="pending", owner=owner,
        )  # fmt: skip
        lease = seen.intents.write(turn)
        seen.intents.discard(turn)
        lease.release()  # type: ignore[union-attr] # a lease

    def open_session(number: int) -> None:
        record = seen.sessions.find(content.session_id(opened[number]))
        assert len(seen.sessions.tree(record).turns) == PER_SESSION

    return {
        "a page of images": lambda _: page(),
        "a page deep in the past": lambda number: page(
            before=content.turn_id(content.count // 2 + number)
        ),
        "the images of a session": lambda number: page(session=content.session_id(opened[number])),
        "words that all have": lambda _: page(text="teapot"),
        "words that one in a hundred has": lambda _: page(text="lighthouse"),
        "words that ten have": lambda _: page(text="a heron"),
        "words that none has": lambda _: page(text="a submarine"),
        "words in a session": lambda number: page(
            text="teapot", session=content.session_id(opened[number])
        ),
        "an image by its id": lambda number: index.find(content.image_id(opened[number])),
        "an image by the end of its id": lambda number: index.find(
            content.image_id(opened[number])[-9:]
        ),
        "open a session of 100 turns": open_session,
        "a session by its name": lambda number: index.sessions(f"Tea {opened[number]}"),
        "what a budget counts": lambda number: index.spent(
            END.date(), content.session_id(opened[number]), owner
        ),
        "claim a turn under a key": claim,
        "costs by day": lambda _: index.tally(SpendingQuery()),
        "costs by model": lambda _: index.tally(SpendingQuery(by="model")),
        "the number of sessions": lambda _: index.count_sessions(),
        "the time": lambda _: store.ports.facts.now(),
    }  # fmt: skip


def measure(
    stores: list[LibraryStore], contents: list[Content], owner: str | None
) -> Iterator[tuple[str, float, float]]:
    """
    Yield each question, and its shortest time in milliseconds in the small and the large library,
    which are asked in turns: others may use the machine.
    """
    asked = [questions(*pair, owner) for pair in zip(stores, contents, strict=True)]
    for name in asked[0]:
        times: list[list[float]] = [[], []]
        for number in range(ROUNDS + 1):
            for each, elapsed in zip(asked, times, strict=True):
                elapsed.append(seconds_of(partial(each[name], number)))
        few, many = (min(elapsed[1:]) * 1000 for elapsed in times)
        yield name, few, many


def main(kind: str, few: int = 10_000, many: int = 1_000_000) -> None:
    """
    Print a table.
    """
    contents = [Content(few), Content(many)]
    with contextlib.ExitStack() as stack:
        stores: list[LibraryStore] = []
        for content in contents:
            if kind == "team":
                place = team_servers.servers().new_library()
                open_store(place, {}).close()
                filling = seconds_of(partial(fill_database, place, content))
            else:
                folder = Path(stack.enter_context(working_folder())) / "library"
                filling = seconds_of(partial(fill_folder, folder, content))
                place = str(folder)
            stores.append(open_store(place, {}))
            first = seconds_of(lambda: stores[-1].ports.index.page(ImageQuery(limit=50)))
            print(
                f"{content.count:,}: filled in {filling:.0f} s, first page in {first:.2f} s",
                flush=True,
            )
        for owner in (None, MANY, FEW):
            print(owner or "all")
            for name, *times in measure(stores, contents, owner):
                print(
                    f"{name:<36} {times[0]:9.2f} {times[1]:9.2f} ms {times[1] / times[0]:6.1f} x",
                    flush=True,
                )


if __name__ == "__main__":
    team_servers.announce()
    main(sys.argv[1], *map(int, sys.argv[2:]))
