"""
The index agrees with the records of turns and images, and is rebuilt when it is damaged.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagesession._domain.options import GenerateOptions
from imagesession._domain.reports import Grouping
from imagesession._domain.turn import ImageRecord, Turn, count_made
from imagesession._engine.image_queries import CostTotals, ImageQuery, SpendingQuery
from imagesession._store.disk import index_schema, session_index_schema
from imagesession._store.disk.database import INDEX_VERSION, Database
from imagesession._store.disk.index_schema import find_intent, tally
from imagesession._store.ids import first_id, timestamp_of
from imagesession._store.index_rows import budget_cost
from imagesession._store.ports import ImageLocation
from imagesession.errors import StorageIOError
from tests import strategies

DAY = dt.timedelta(days=1)
START = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
FEW = st.sampled_from(["one", "two", None])


@st.composite
def libraries(draw: st.DrawFn) -> tuple[Turn, ...]:
    """
    Draw the turns of a library, with ids that match their start times.
    """
    turns: list[Turn] = []
    for number, turn in enumerate(draw(st.lists(strategies.turns, max_size=6))):
        started = START + draw(st.integers(0, 5)) * DAY + number * dt.timedelta(minutes=1)
        base = first_id(started)[:-6]
        images = tuple(
            attrs.evolve(image, id=f"{base}{number:03}{position:03}")
            for position, image in enumerate(turn.images)
        )
        turns.append(
            attrs.evolve(
                turn, id=f"{base}{number:03}ZZZ", session=draw(FEW), started=started, images=images
            )
        )
    return tuple(turns)


def page(index: Database, query: ImageQuery) -> list[ImageLocation]:
    """
    Return the images that a query asks for.
    """
    return index.query(lambda connection: index_schema.page(connection, query), ())


def sum_costs(index: Database, query: SpendingQuery) -> list[CostTotals]:
    """
    Sum the costs of turns by group.
    """
    return index.query(lambda connection: tally(connection, query), ())


def _nothing() -> tuple[Turn, ...]:
    return ()


def always(_: Turn) -> bool:
    """
    Say that no other program has added the turn.
    """
    return True


def indexed(turns: tuple[Turn, ...], folder: Path) -> Database:
    """
    Make an index of turns.
    """
    index = Database(folder / "index.sqlite", _nothing)
    index.add(turns, always)
    return index


def words(turn: Turn, position: int) -> str:
    """
    Return the text by which an image is searched, in a form that ignores case.
    """
    texts = (turn.prompt, turn.images[position].revised_prompt or "", turn.label)
    return folded("\n".join(texts)).encode("utf-8", "replace").decode()


def folded(text: str) -> str:
    """
    Return a text as Unicode compares it without regard to case and composition.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def expected(turns: tuple[Turn, ...], query: ImageQuery) -> list[str]:
    """
    Compute from the turns which images match a query, the newest first.
    """
    found = [
        image.id
        for turn in turns
        for position, image in enumerate(turn.images)
        if query.session in {None, turn.session}
        and query.kind in {None, turn.kind}
        and (query.text is None or folded(query.text) in words(turn, position))
        and (query.since is None or timestamp_of(image.id) >= query.since)
        and (query.until is None or timestamp_of(image.id) < query.until)
        and (query.before is None or image.id < query.before)
    ]
    return sorted(found, reverse=True)[: query.limit]


queries = st.builds(
    ImageQuery,
    session=FEW,
    kind=st.none() | st.sampled_from(["general", "edit"]),
    text=st.none() | st.text(max_size=2).filter(bool),
    since=st.none() | st.integers(0, 6).map(lambda days: START + days * DAY),
    until=st.none() | st.integers(0, 6).map(lambda days: START + days * DAY),
    limit=st.integers(1, 5),
    before=st.none() | st.integers(0, 6).map(lambda days: first_id(START + days * DAY)),
)


@settings(max_examples=40, deadline=None)
@given(libraries(), st.lists(queries, min_size=1, max_size=4))
def test_page_matches_the_query(turns: tuple[Turn, ...], asked: list[ImageQuery]) -> None:
    """
    For any combination of conditions, a page holds the matching images, the newest first.
    """
    with tempfile.TemporaryDirectory() as folder:
        index = indexed(turns, Path(folder))
        for query in asked:
            assert [row.image for row in page(index, query)] == expected(turns, query)


@settings(max_examples=25, deadline=None)
@given(libraries(), st.sampled_from(get_args(Grouping)), FEW, st.integers(0, 5), st.integers(0, 5))
def test_cost_totals_match_the_turns(
    turns: tuple[Turn, ...], by: Grouping, session: str | None, since: int, until: int
) -> None:
    """
    Groups hold every turn of the given days once, and no other; their sums are those of the turns.
    """
    first, last = ((START + days * DAY).date() for days in (since, until))
    query = SpendingQuery(by=by, since=first, until=last, session=session)
    matching = [
        turn
        for turn in turns
        if first <= turn.started.date() <= last and session in {None, turn.session}
    ]
    with tempfile.TemporaryDirectory() as folder:
        tallies = sum_costs(indexed(turns, Path(folder)), query)
    assert len({totals.group for totals in tallies}) == len(tallies)
    assert sum(totals.turns for totals in tallies) == len(matching)
    assert sum(totals.images for totals in tallies) == sum(
        count_made(turn.images) + turn.erased_images for turn in matching
    )
    assert sum(totals.cost for totals in tallies) == pytest.approx(
        sum(turn.cost.known for turn in matching if turn.cost)
    )
    assert sum(totals.spent for totals in tallies) == pytest.approx(sum(map(budget_cost, matching)))
    assert sum(totals.uncertain for totals in tallies) == sum(
        turn.cost is not None and turn.cost.total is None for turn in matching
    )


@settings(max_examples=15, deadline=None)
@given(libraries())
def test_indexing_twice_changes_nothing(turns: tuple[Turn, ...]) -> None:
    """
    A turn that another process indexes again counts once.
    """
    with tempfile.TemporaryDirectory() as folder:
        index = indexed(turns, Path(folder))
        before = sum_costs(index, SpendingQuery()), page(index, ImageQuery(limit=100))
        index.add(turns, always)
        assert (sum_costs(index, SpendingQuery()), page(index, ImageQuery(limit=100))) == before


PROMPTS = ("Straße nach 50% off", "ΟΔΟΣ under_score", "Ein Café, rot\n[a-z]*")


def known(prompt: str, number: int = 0) -> Turn:
    """
    Make a turn with an image.
    """
    started = START + number * DAY
    image = ImageRecord(
        id=first_id(started)[:-1] + "1", file="general/x.png", format="png",
        width=1, height=1, bytes=1, sha256="",
    )  # fmt: skip
    return Turn(
        id=first_id(started),
        prompt=prompt,
        options=GenerateOptions(),
        images=(image,),
        status="completed",
        started=started,
        idempotency_key=f"intent {number}",
    )


TURNS = tuple(known(prompt, number) for number, prompt in enumerate(PROMPTS))


@pytest.mark.parametrize(
    "text,found",
    [
        ("STRASSE", [0]),
        ("strasse", [0]),
        ("straße", [0]),
        ("οδος", [1]),
        ("οδοσ", [1]),
        ("café", [2]),
        ("CAFE\u0301", [2]),
        ("cafe", []),
        ("50%", [0]),
        ("%", [0]),
        ("_", [1]),
        ("under_", [1]),
        ("underxscore", []),
        ("[a-z]*", [2]),
        ("'; DROP TABLE images; --", []),
        ("e", [0, 1, 2]),
    ],
)
def test_search_is_literal_and_ignores_case(tmp_path: Path, text: str, found: list[int]) -> None:
    """
    A search ignores case and Unicode composition in any script, and treats no text as a pattern.
    """
    index = indexed(TURNS, tmp_path)
    rows = page(index, ImageQuery(text=text))
    assert sorted(row.turn for row in rows) == sorted(TURNS[number].id for number in found)


def test_an_owners_sessions_have_their_own_indexes() -> None:
    """
    An owner's images of a session and sessions of a name are found without going through all that
    the owner has.
    """
    asked: list[str] = []
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        index_schema.create_tables(connection)
        connection.set_trace_callback(asked.append)
        index_schema.page(connection, ImageQuery(session="one", text="heron"), "ann")
        session_index_schema.page(connection, None, None, "ann", name="tea")
        connection.set_trace_callback(None)
        plans = [str(connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()) for sql in asked]
    assert "images_of_session" in plans[0]
    assert "sessions_of_name" in plans[1]


def test_time_ranges_are_exact_to_the_millisecond(tmp_path: Path) -> None:
    """
    An image is found from its own time on, and not up to it.
    """
    index = indexed(TURNS, tmp_path)
    moment = START + DAY
    inside = page(index, ImageQuery(since=moment, until=moment + dt.timedelta(milliseconds=1)))
    assert [row.turn for row in inside] == [TURNS[1].id]
    assert [row.turn for row in page(index, ImageQuery(until=moment))] == [TURNS[0].id]
    edges = (dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC))
    assert len(page(index, ImageQuery(since=edges[0], until=edges[1]))) == 3


def test_idempotency_key_is_matched_exactly(tmp_path: Path) -> None:
    """
    A settled turn is found under its idempotency key, and only under exactly that.
    """
    failed = attrs.evolve(known("x", 5), status="failed", images=())
    index = indexed((*TURNS, failed), tmp_path)

    def find(key: str) -> list[tuple[str | None, str]]:
        return index.query(lambda connection: find_intent(connection, key, None), ())

    assert find("intent 1") == [(None, TURNS[1].id)]
    assert find("intent 5") == [(failed.session, failed.id)]
    for name in ("intent", "INTENT 1", "intent 1 ", "%", ""):
        assert find(name) == []


@pytest.mark.parametrize("version", [0, 1, INDEX_VERSION - 1, INDEX_VERSION + 1])
def test_index_of_another_version_is_rebuilt(tmp_path: Path, version: int) -> None:
    """
    Whatever tables another version has, they are replaced from the records.
    """
    path = tmp_path / "index.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE images (id TEXT PRIMARY KEY, number INTEGER)")
        connection.execute("CREATE TABLE turns (id TEXT)")
        connection.execute("CREATE TABLE extra (id INTEGER PRIMARY KEY AUTOINCREMENT, x TEXT)")
        connection.execute("CREATE INDEX turns_of_day ON turns (id)")
        connection.execute("INSERT INTO turns VALUES ('old')")
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    index = Database(path, lambda: TURNS)
    assert len(page(index, ImageQuery())) == 3
    assert sum(totals.turns for totals in sum_costs(index, SpendingQuery())) == 3
    index.add([known("new", 4)], always)
    assert len(page(index, ImageQuery())) == 4


def test_failure_under_the_lock_is_rolled_back(tmp_path: Path) -> None:
    """
    A block that fails while it holds the lock leaves no change and no lock.
    """
    index = indexed(TURNS, tmp_path)

    def fail() -> None:
        with index.locked() as connection:
            connection.execute("DELETE FROM turns")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert sum(totals.turns for totals in sum_costs(index, SpendingQuery())) == 3


def test_error_after_a_rollback_is_kept(tmp_path: Path) -> None:
    """
    If the transaction has already ended, the original error is raised, not one about the rollback.
    """

    def fail() -> None:
        with indexed(TURNS, tmp_path).locked() as connection:
            connection.execute("ROLLBACK")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def test_index_deleted_before_it_is_locked_is_rebuilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A locked index holds all turns, even if another process deleted it just before it was locked.
    """
    index = Database(tmp_path / "index.sqlite", lambda: TURNS)
    real = Database.open_or_rebuild

    def open_or_rebuild(self: Database) -> None:
        real(self)
        self.path.unlink()

    monkeypatch.setattr(Database, "open_or_rebuild", open_or_rebuild)
    with index.locked() as connection:
        assert sum(totals.turns for totals in tally(connection, SpendingQuery())) == 3


def test_index_in_use_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A caller that finds the index damaged waits while another holds the lock; otherwise each of them
    would lock a different file.
    """
    first = indexed(TURNS, tmp_path)
    second = Database(first.path, lambda: TURNS)
    real = vars(Database)["_check_integrity"]
    found: list[str] = []

    def look_through(self: Database, connection: sqlite3.Connection) -> None:
        if self is second and not found:
            found.append("damage")
            raise sqlite3.DatabaseError
        real(self, connection)

    def come_second() -> None:
        with second.locked():
            found.append("second")

    monkeypatch.setattr(Database, "_check_integrity", look_through)
    thread = threading.Thread(target=come_second)
    with first.locked():
        thread.start()
        thread.join(0.5)
        found.append("first")
    thread.join()
    assert found == ["damage", "first", "second"]


def never(_: Path) -> bool:
    """
    Report that no file exists.
    """
    return False


def miss(*_: Any) -> None:
    """
    Report that the file is missing.
    """
    raise FileNotFoundError


TRY_TO_LOCK = """
import sqlite3, sys
sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute("BEGIN IMMEDIATE")
"""


def test_opening_a_new_index_releases_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A thread that saw no index, while another created and locked it, does not release that lock.
    """
    index = indexed(TURNS, tmp_path)
    with index.locked():
        with monkeypatch.context() as patched:
            patched.setattr(Path, "exists", never)
            patched.setattr(os, "utime", miss)
            assert len(page(Database(index.path, _nothing), ImageQuery())) == 3
        command = [sys.executable, "-c", TRY_TO_LOCK, str(index.path)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "database is locked" in result.stderr


def test_lock_serializes_changes(
    tmp_path: Path, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    Others change nothing between a read and a write under the lock.
    """
    index = indexed(TURNS, tmp_path)
    index.open_or_rebuild()

    def add_one() -> None:
        with Database(index.path, _nothing).locked() as connection:
            (count,) = connection.execute("SELECT max(images) FROM turns").fetchone()
            connection.execute("UPDATE turns SET images = ?", (count + 1,))

    in_threads([add_one] * 12)
    assert {totals.images for totals in sum_costs(index, SpendingQuery(by="session"))} == {3 * 13}


def test_unusable_path_is_named(tmp_path: Path) -> None:
    """
    If the index cannot be created, the error names its path.
    """
    path = tmp_path / "index.sqlite"
    path.mkdir()
    with pytest.raises((StorageIOError, OSError), match=r"index\.sqlite"):
        Database(path, _nothing).open_or_rebuild()
