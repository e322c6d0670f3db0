"""
How a library uses its database: few connections, no state between transactions, and exact sums.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import psycopg
import pytest

from imagesession import Studio
from imagesession._engine.image_queries import ImageQuery, SpendingQuery
from imagesession._store.records import turn_key
from tests import team_servers
from tests.clock import wait_for
from tests.team_servers import Servers

team_servers.skip_if_missing(whole_module=True)
import sqlalchemy as sa  # noqa: E402 - of an extra
from alembic.autogenerate import compare_metadata  # noqa: E402
from alembic.runtime.migration import MigrationContext  # noqa: E402

from imagesession._store.team import index, migrate, schema  # noqa: E402
from imagesession._store.team.database import MAX_CONNECTIONS, Database  # noqa: E402
from imagesession._store.team.library import TeamLibrary  # noqa: E402
from tests.store.contract import promises  # noqa: E402


def name_of(url: str) -> str:
    """
    Return the name of a library's database.
    """
    return url.split("?", maxsplit=1)[0].rpartition("/")[2]


def test_few_connections_are_used(
    url: str, servers: Servers, in_threads: Callable[[list[Any]], None]
) -> None:
    """
    However many calls and studios a process has, it opens four connections at most.
    """
    studios = [Studio.offline(url) for _ in range(3)]
    in_threads([lambda studio=studio: studio.generate("a teapot") for studio in studios * 5])
    count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name_of(url)}'"  # noqa: S608
    assert 1 <= servers.execute(count)[0][0] <= MAX_CONNECTIONS
    assert studios[0].costs().total.images == 15
    for studio in studios:
        studio.close()


def test_connection_in_use_is_closed_when_it_is_free(url: str, servers: Servers) -> None:
    """
    A connection that is in use while its library is closed is closed afterwards, and not dropped.
    """
    library = TeamLibrary(url)

    def close(connection: sa.Connection) -> Any:
        library.database.close()
        return connection.connection.dbapi_connection

    used = library.database.run(close)
    assert used.closed
    count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name_of(url)}'"  # noqa: S608
    wait_for(lambda: bool(servers.execute(count)[0][0] == 0))


def test_connection_that_is_made_meanwhile_is_closed(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A connection that a thread makes while its library is closed is closed when it is free.
    """
    library, connect = TeamLibrary(url), psycopg.connect
    made: list[psycopg.Connection[Any]] = []

    def connect_late(**options: Any) -> psycopg.Connection[Any]:
        made.append(connect(**options))
        library.database.close()
        return made[-1]

    library.database.close()  # so that there is none
    monkeypatch.setattr(psycopg, "connect", connect_late)
    library.database.run(lambda _: None)
    assert made[-1].closed


def test_printed_schema_is_the_schema(url: str, servers: Servers) -> None:
    """
    The printed statements make the tables that the code uses: the template of all these libraries
    is made from them.
    """
    assert "CREATE TABLE facts" in migrate.print_upgrade()
    assert "CREATE TABLE facts" not in migrate.print_upgrade(schema.FORMAT)
    ours = {*schema.metadata.tables, *schema_indexes()}

    def is_ours(item: Any, name: str | None, kind: str, *_: object) -> bool:
        del item
        return kind not in {"table", "index"} or name in ours

    engine = sa.create_engine(
        url.split("?", maxsplit=1)[0].replace("postgresql:", "postgresql+psycopg:")
    )
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_ours})
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()
    assert servers.execute("SELECT format, min_reader FROM format", name_of(url)) == [
        (schema.FORMAT, schema.MIN_READER)
    ]


def schema_indexes() -> set[str]:
    """
    Return the names of the indexes, but for those on expressions, which Alembic cannot compare.
    """
    indexes = {index for table in schema.metadata.tables.values() for index in table.indexes}
    return {str(index.name) for index in indexes if index.name != "images_by_ending"}


def test_sums_follow_every_change(url: str) -> None:
    """
    Whatever becomes of turns, the sums of a day are those of its turns; and rebuilt, the same.
    """
    library = TeamLibrary(url)
    turns = [promises.new_turn(cost=promises.COST) for _ in range(5)]
    for turn in turns:
        promises.settle(library, turn)
    key = turn_key(turns[0])
    data = library.facts.get(key)
    assert data is not None
    library.facts.replace(key, data)
    library.facts.replace(turn_key(turns[1]), b"damaged")
    library.facts.drop(turn_key(turns[2]))
    for _ in range(2):
        totals = library.index.tally(SpendingQuery())
        by_session = library.index.tally(SpendingQuery(by="session"))
        assert [(item.cost, item.turns) for item in totals] == [(0.75, 3)]
        assert [(item.cost, item.turns) for item in by_session] == [(0.75, 3)]
        library.index.rebuild()


def test_words_are_looked_for_where_they_are_asked_for(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A search in a session or of an owner looks at the latest images of these alone, and then at
    those alone of these that have the words: not at what others have.
    """
    library = TeamLibrary(url)
    old = promises.new_turn(session=promises.IDS.new(), owner="ann", prompt="a heron")
    for turn in (old, promises.new_turn(prompt="a heron")):
        promises.settle(library, turn)
    asked: list[str] = []
    real = Database.all

    def listen(database: Database, statement: Any, *rest: Any, **more: Any) -> list[Any]:
        asked.append(str(statement))
        return real(database, statement, *rest, **more)

    monkeypatch.setattr(Database, "all", listen)
    monkeypatch.setattr(index, "_LATEST", 1)
    for seen, session in ((library.index, old.session), (library.index.of("ann"), None)):
        for limit in (1, 2):
            found = seen.page(ImageQuery(text="heron", session=session, limit=limit))
            assert [row.turn for row in found] == [old.id]
    assert len(asked) == 2 * (1 + 2)
    assert all("WHERE images.session = " in statement for statement in asked[:3])
    assert all("WHERE images.owner = " in statement for statement in asked[3:])


def test_money_is_exact(url: str) -> None:
    """
    A budget of six cents is six times one cent, and not a little more.
    """
    library = TeamLibrary(url)
    cent = attrs.evolve(promises.COST, image=0.01)
    for _ in range(6):
        promises.settle(library, promises.new_turn(cost=cent))
    assert library.index.spent(promises.NOW.date(), None, None)[0] == 0.06


@pytest.fixture
def pooled(url: str, servers: Servers) -> Iterator[str]:
    """
    The URL of the library through PgBouncer in transaction mode.
    """
    program = team_servers.find_pgbouncer()
    if program is None:
        pytest.skip("not installed: pgbouncer")
    port = team_servers.free_port()
    folder = Path(team_servers.open_folder())
    (folder / "users.txt").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={servers.port}\n[pgbouncer]\nlisten_addr=127.0.0.1\n"
        f"listen_port={port}\nunix_socket_dir=\nauth_type=trust\nauth_file={folder}/users.txt\n"
        "pool_mode=transaction\ndefault_pool_size=3\nserver_reset_query=DISCARD ALL\n"
    )
    command = [program, "-q", str(folder / "pgbouncer.ini")]
    bouncer = subprocess.Popen[bytes](command, **team_servers.as_postgres())
    team_servers.wait_for_port(port)
    try:
        yield url.replace(str(servers.port), str(port))
    finally:
        bouncer.kill()
        bouncer.wait()


def test_pgbouncer_lends_connections(
    pooled: str, url: str, in_threads: Callable[[list[Any]], None]
) -> None:
    """
    Through PgBouncer in transaction mode, with fewer connections than calls, everything works as
    without it.
    """
    studios = [Studio.offline(pooled, max_concurrency=8) for _ in range(2)]
    sessions = [studios[0].session("x", name=f"{number}") for number in range(4)]
    in_threads([lambda session=session: session.generate("a teapot") for session in sessions])
    in_threads([lambda session=session: session.generate("bluer") for session in sessions])
    assert studios[1].costs().total.images == 8
    with Studio.offline(url) as direct:
        assert len(direct.images.list()) == 8
    for studio in studios:
        studio.close()
