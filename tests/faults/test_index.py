"""
The index is damaged in every way that a disk, a copy or a program that died can: no picture is
lost, and the index is built anew without a word.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from imagesession._domain.cost import Cost
from imagesession._domain.image_header import ImageHeader
from imagesession._domain.options import GenerateOptions
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn
from imagesession._engine.http import ReceivedImage
from imagesession._engine.store import CostTotals, ImageQuery, SpendingQuery
from imagesession._store.index import Index
from imagesession._store.repository import LibraryStore
from imagesession.errors import NotFoundError, StorageError
from imagesession.testing import tiny_image

FACTS = ImageHeader(format="png", width=64, height=64, alpha=False)
TURNS = 24
TIMES = pytest.mark.parametrize(
    "times", [30, pytest.param(500, marks=pytest.mark.faults)], ids=["few", "many"]
)
# What raises, or answers wrongly, in a program that has met a damaged index.
PROBLEMS = (
    StorageError, NotFoundError, sqlite3.Error, UnicodeDecodeError, OSError, LookupError,
    ValueError,
)  # fmt: skip


@attrs.frozen
class Answers:
    """
    All that a library says with the help of its index.
    """

    listed: tuple[str, ...]
    by_session: tuple[tuple[str, ...], ...]
    found: tuple[bytes, ...]
    spent: tuple[CostTotals, ...]
    sessions: tuple[str, ...]
    named: tuple[str, ...]


@attrs.define
class DamagedIndex:
    """
    A library, its index as it was, and what was said then.
    """

    root: Path
    sessions: tuple[str, ...]
    index: bytes = b""
    hot: tuple[bytes, bytes] = (b"", b"")
    before: Answers | None = None

    @property
    def path(self) -> Path:
        """
        Where the index is.
        """
        return self.root / ".imagesession" / "index.sqlite"

    @property
    def leftover(self) -> Path:
        """
        Where SQLite keeps what it needs to undo a transaction.
        """
        return self.path.with_name(f"{self.path.name}-journal")

    def mend(self) -> None:
        """
        Put the index back as it was.
        """
        self.leftover.unlink(missing_ok=True)
        self.path.write_bytes(self.index)


def keep(library: LibraryStore, number: int, session: str | None) -> None:
    """
    Keep a turn as a flow does.
    """
    begun = library.new_id()
    turn = Turn(
        id=begun.id,
        session=session,
        status="completed",
        prompt=f"teapot {number}",
        options=GenerateOptions(),
        started=begun.at,
        cost=Cost(mainline=0.001, image=0.01 * number, prices=begun.at.date()),
    )
    lease = library.write_intent(turn)
    library.commit(turn, (ReceivedImage(data=tiny_image(colour=(number, 0, 0)), facts=FACTS),))
    assert not isinstance(lease, Turn)
    lease.release()


def ask(location: DamagedIndex) -> Answers:
    """
    Ask a program that has just started for all that an index knows.
    """
    library = LibraryStore(location.root)
    pages = [
        library.list_images(ImageQuery(limit=1000, session=session))
        for session in (None, *location.sessions)
    ]
    ids = [tuple(turn.images[position].id for turn, position in page) for page in pages]
    found = [library.find_image(text) for text in ids[0]]
    return Answers(
        listed=ids[0],
        by_session=tuple(ids[1:]),
        found=tuple(library.read(turn.images[position]) for turn, position in found),
        spent=library.spending(SpendingQuery(by="session")),
        sessions=tuple(record.id for record in library.list_sessions()),
        named=tuple(library.find_session(f"name of {text}").id for text in location.sessions),
    )


@pytest.fixture
def damaged(tmp_path: Path) -> DamagedIndex:
    """
    A library with some sessions and one-shots.
    """
    library = LibraryStore(tmp_path / "library")
    sessions: list[str] = []
    for _ in range(3):
        begun = library.new_id()
        library.save_session(
            SessionRecord(
                id=begun.id, description="x", name=f"name of {begun.id}", created=begun.at
            )
        )
        sessions.append(begun.id)
    for number in range(TURNS):
        keep(library, number, (None, *sessions)[number % 4])
    damaged = DamagedIndex(library.layout.root, tuple(sessions))
    damaged.before = ask(damaged)
    damaged.index = damaged.path.read_bytes()
    damaged.hot = interrupted(damaged)
    assert len(damaged.before.listed) == TURNS
    return damaged


def interrupted(damaged: DamagedIndex) -> tuple[bytes, bytes]:
    """
    Return the index and its journal as a program leaves them that dies in a transaction.
    """
    connection = sqlite3.connect(damaged.path, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE sessions SET name = zeroblob(3000) || name")
    connection.execute("UPDATE images SET words = zeroblob(3000) || words, position = 7")
    left = damaged.path.read_bytes(), damaged.leftover.read_bytes()
    connection.execute("ROLLBACK")
    connection.close()
    assert left[0] != damaged.index
    return left


# --- damages ----------------------------------------------------------------------------------


def flip(damaged: DamagedIndex, chance: random.Random) -> None:
    """
    Change bytes here and there.
    """
    data = bytearray(damaged.index)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    damaged.path.write_bytes(data)


def blank(damaged: DamagedIndex, chance: random.Random) -> None:
    """
    Zero a stretch, as a disk does that lost a block.
    """
    start = chance.randrange(0, len(damaged.index), 512)
    length = chance.choice((512, 4096))
    data = damaged.index[:start] + bytes(length) + damaged.index[start + length :]
    damaged.path.write_bytes(data[: len(damaged.index)])


def truncate(damaged: DamagedIndex, chance: random.Random) -> None:
    """
    Cut the end off.
    """
    damaged.path.write_bytes(damaged.index[: chance.randrange(len(damaged.index))])


def delete(damaged: DamagedIndex, _: random.Random) -> None:
    """
    Take it away.
    """
    damaged.path.unlink()


def empty(damaged: DamagedIndex, _: random.Random) -> None:
    """
    Leave nothing in it.
    """
    damaged.path.write_bytes(b"")


def replace(damaged: DamagedIndex, chance: random.Random) -> None:
    """
    Put something else there.
    """
    damaged.path.write_bytes(chance.randbytes(chance.randrange(1, 20_000)))


def change_version(damaged: DamagedIndex, chance: random.Random) -> None:
    """
    Let an older or a newer release have written it.
    """
    with contextlib.closing(sqlite3.connect(damaged.path, isolation_level=None)) as connection:
        connection.execute(chance.choice(("DROP TABLE turns", "DROP TABLE sessions")))
        connection.execute("CREATE TABLE more (x)")
        connection.execute(f"PRAGMA user_version = {chance.choice((0, 1, 2, 3, 99))}")


def die(damaged: DamagedIndex, _: random.Random) -> None:
    """
    Die in the middle of a transaction.
    """
    damaged.path.write_bytes(damaged.hot[0])
    damaged.leftover.write_bytes(damaged.hot[1])


def leave_behind(damaged: DamagedIndex, chance: random.Random) -> None:
    """
    Leave a damaged journal beside a half-written index, or nonsense beside a good one.
    """
    if chance.random() < 0.5:
        damaged.leftover.write_bytes(chance.randbytes(chance.randrange(2000)))
        return
    die(damaged, chance)
    data = bytearray(damaged.hot[1])
    data[chance.randrange(len(data))] ^= 255
    damaged.leftover.write_bytes(data[: chance.randrange(len(data))])


DAMAGES: tuple[Callable[[DamagedIndex, random.Random], None], ...] = (
    flip, flip, flip, blank, truncate, delete, empty, replace, change_version, die, leave_behind,
)  # fmt: skip


def worse(damaged: DamagedIndex, times: int) -> Iterator[str]:
    """
    Damage the index in ever other ways; yield how, where not all is as it was before.
    """
    for number in range(times):
        damage = DAMAGES[number % len(DAMAGES)]
        damaged.mend()
        damage(damaged, random.Random(number))  # noqa: S311 - chance is to be the same every time
        try:
            after: Answers | None = ask(damaged)
        except PROBLEMS as problem:
            yield f"{damage.__name__} {number}: {problem!r}"
        else:
            if after != damaged.before:
                yield f"{damage.__name__} {number}: other answers"


@TIMES
def test_no_damage_to_the_index_loses_a_picture(damaged: DamagedIndex, times: int) -> None:
    """
    Whatever became of the index, a program that starts lists all pictures in the same order, finds
    each by its id, reads its bytes, and adds up the same costs.
    """
    assert list(worse(damaged, times)) == []


def test_an_index_that_is_mistaken_is_noticed(damaged: DamagedIndex) -> None:
    """
    Rows that lead nowhere, to another picture or past a turn's last one are noticed when they are
    followed, however sound the file is.
    """
    for change in ("turn = id", "session = NULL", "session = 'x' || char(0)", "position = 3"):
        damaged.mend()
        with contextlib.closing(sqlite3.connect(damaged.path, isolation_level=None)) as connection:
            connection.execute(f"UPDATE images SET {change} WHERE session IS NOT NULL")  # noqa: S608 - our own words
        assert ask(damaged) == damaged.before, change


def test_a_program_that_runs_gets_over_damage(damaged: DamagedIndex) -> None:
    """
    A library that is open while its index is damaged goes on.
    """
    library = LibraryStore(damaged.root)
    assert damaged.before is not None
    for number, damage in enumerate((truncate, delete, empty, replace)):
        damaged.mend()
        library.list_images(ImageQuery())
        damage(damaged, random.Random(number))  # noqa: S311 - chance is to be the same every time
        listed = library.list_images(ImageQuery(limit=1000))
        assert tuple(turn.images[at].id for turn, at in listed) == damaged.before.listed


# --- twins ------------------------------------------------------------------------------------


def test_the_check_catches_an_index_that_is_believed(
    damaged: DamagedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without looking through the index, damage goes unnoticed and the check says so.
    """

    def believe(*_: object) -> None:
        return

    monkeypatch.setattr(Index, "_look_through", believe)
    assert any(worse(damaged, 300))


def test_the_check_catches_an_index_that_is_not_rebuilt(
    damaged: DamagedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without building it anew, what is damaged stays so and the check says so.
    """

    def never(_: Exception) -> bool:
        return False

    monkeypatch.setattr("imagesession._store.index._is_broken", never)
    assert any(worse(damaged, len(DAMAGES)))
