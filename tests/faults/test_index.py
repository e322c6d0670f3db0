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

from imagesession._library.index import Index
from imagesession._library.library import Library
from imagesession._model.costs import Cost
from imagesession._model.options import Options
from imagesession._model.pictures import PictureFacts
from imagesession._model.sessions import SessionRecord
from imagesession._model.turns import Turn
from imagesession._plan.store import ImageQuery, SpendingQuery, Tally
from imagesession._plan.wire import Received
from imagesession.errors import LibraryError, NotFoundError
from imagesession.testing import tiny_image

FACTS = PictureFacts(format="png", width=64, height=64, alpha=False)
TURNS = 24
TIMES = pytest.mark.parametrize(
    "times", [30, pytest.param(500, marks=pytest.mark.faults)], ids=["few", "many"]
)
# What raises, or answers wrongly, in a program that has met a damaged index.
PROBLEMS = (
    LibraryError, NotFoundError, sqlite3.Error, UnicodeDecodeError, OSError, LookupError,
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
    spent: tuple[Tally, ...]
    sessions: tuple[str, ...]
    named: tuple[str, ...]


@attrs.define
class Place:
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


def keep(library: Library, number: int, session: str | None) -> None:
    """
    Keep a turn as a flow does.
    """
    begun = library.begin()
    turn = Turn(
        id=begun.id,
        session=session,
        status="completed",
        prompt=f"teapot {number}",
        options=Options(),
        started=begun.at,
        cost=Cost(mainline=0.001, image=0.01 * number, prices=begun.at.date()),
    )
    lease = library.intend(turn)
    library.commit(turn, (Received(data=tiny_image(colour=(number, 0, 0)), facts=FACTS),))
    assert not isinstance(lease, Turn)
    lease.release()


def ask(place: Place) -> Answers:
    """
    Ask a program that has just started for all that an index knows.
    """
    library = Library(place.root)
    pages = [
        library.list_images(ImageQuery(limit=1000, session=session))
        for session in (None, *place.sessions)
    ]
    ids = [tuple(turn.images[position].id for turn, position in page) for page in pages]
    found = [library.find_image(one) for one in ids[0]]
    return Answers(
        listed=ids[0],
        by_session=tuple(ids[1:]),
        found=tuple(library.read(turn.images[position]) for turn, position in found),
        spent=library.spending(SpendingQuery(by="session")),
        sessions=tuple(record.id for record in library.list_sessions()),
        named=tuple(library.find_session(f"name of {one}").id for one in place.sessions),
    )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """
    A library with some sessions and one-shots.
    """
    library = Library(tmp_path / "library")
    sessions: list[str] = []
    for _ in range(3):
        begun = library.begin()
        library.save_session(
            SessionRecord(
                id=begun.id, description="x", name=f"name of {begun.id}", created=begun.at
            )
        )
        sessions.append(begun.id)
    for number in range(TURNS):
        keep(library, number, (None, *sessions)[number % 4])
    place = Place(library.layout.root, tuple(sessions))
    place.before = ask(place)
    place.index = place.path.read_bytes()
    place.hot = interrupted(place)
    assert len(place.before.listed) == TURNS
    return place


def interrupted(place: Place) -> tuple[bytes, bytes]:
    """
    Return the index and its journal as a program leaves them that dies in a transaction.
    """
    connection = sqlite3.connect(place.path, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE sessions SET name = zeroblob(3000) || name")
    connection.execute("UPDATE images SET words = zeroblob(3000) || words, position = 7")
    left = place.path.read_bytes(), place.leftover.read_bytes()
    connection.execute("ROLLBACK")
    connection.close()
    assert left[0] != place.index
    return left


# --- damages ----------------------------------------------------------------------------------


def flip(place: Place, chance: random.Random) -> None:
    """
    Change bytes here and there.
    """
    data = bytearray(place.index)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    place.path.write_bytes(data)


def blank(place: Place, chance: random.Random) -> None:
    """
    Zero a stretch, as a disk does that lost a block.
    """
    start = chance.randrange(0, len(place.index), 512)
    length = chance.choice((512, 4096))
    data = place.index[:start] + bytes(length) + place.index[start + length :]
    place.path.write_bytes(data[: len(place.index)])


def truncate(place: Place, chance: random.Random) -> None:
    """
    Cut the end off.
    """
    place.path.write_bytes(place.index[: chance.randrange(len(place.index))])


def delete(place: Place, _: random.Random) -> None:
    """
    Take it away.
    """
    place.path.unlink()


def empty(place: Place, _: random.Random) -> None:
    """
    Leave nothing in it.
    """
    place.path.write_bytes(b"")


def replace(place: Place, chance: random.Random) -> None:
    """
    Put something else there.
    """
    place.path.write_bytes(chance.randbytes(chance.randrange(1, 20_000)))


def change_version(place: Place, chance: random.Random) -> None:
    """
    Let an older or a newer release have written it.
    """
    with contextlib.closing(sqlite3.connect(place.path, isolation_level=None)) as connection:
        connection.execute(chance.choice(("DROP TABLE turns", "DROP TABLE sessions")))
        connection.execute("CREATE TABLE more (x)")
        connection.execute(f"PRAGMA user_version = {chance.choice((0, 1, 2, 3, 99))}")


def die(place: Place, _: random.Random) -> None:
    """
    Die in the middle of a transaction.
    """
    place.path.write_bytes(place.hot[0])
    place.leftover.write_bytes(place.hot[1])


def leave_behind(place: Place, chance: random.Random) -> None:
    """
    Leave a damaged journal beside a half-written index, or nonsense beside a good one.
    """
    if chance.random() < 0.5:
        place.leftover.write_bytes(chance.randbytes(chance.randrange(2000)))
        return
    die(place, chance)
    data = bytearray(place.hot[1])
    data[chance.randrange(len(data))] ^= 255
    place.leftover.write_bytes(data[: chance.randrange(len(data))])


DAMAGES: tuple[Callable[[Place, random.Random], None], ...] = (
    flip, flip, flip, blank, truncate, delete, empty, replace, change_version, die, leave_behind,
)  # fmt: skip


def worse(place: Place, times: int) -> Iterator[str]:
    """
    Damage the index in ever other ways; yield how, where not all is as it was before.
    """
    for number in range(times):
        damage = DAMAGES[number % len(DAMAGES)]
        place.mend()
        damage(place, random.Random(number))  # noqa: S311 - chance is to be the same every time
        try:
            after: Answers | None = ask(place)
        except PROBLEMS as problem:
            yield f"{damage.__name__} {number}: {problem!r}"
        else:
            if after != place.before:
                yield f"{damage.__name__} {number}: other answers"


@TIMES
def test_no_damage_to_the_index_loses_a_picture(place: Place, times: int) -> None:
    """
    Whatever became of the index, a program that starts lists all pictures in the same order, finds
    each by its id, reads its bytes, and adds up the same costs.
    """
    assert list(worse(place, times)) == []


def test_an_index_that_is_mistaken_is_noticed(place: Place) -> None:
    """
    Rows that lead nowhere, to another picture or past a turn's last one are noticed when they are
    followed, however sound the file is.
    """
    for change in ("turn = id", "session = NULL", "session = 'x' || char(0)", "position = 3"):
        place.mend()
        with contextlib.closing(sqlite3.connect(place.path, isolation_level=None)) as connection:
            connection.execute(f"UPDATE images SET {change} WHERE session IS NOT NULL")  # noqa: S608 - our own words
        assert ask(place) == place.before, change


def test_a_program_that_runs_gets_over_damage(place: Place) -> None:
    """
    A library that is open while its index is damaged goes on.
    """
    library = Library(place.root)
    assert place.before is not None
    for number, damage in enumerate((truncate, delete, empty, replace)):
        place.mend()
        library.list_images(ImageQuery())
        damage(place, random.Random(number))  # noqa: S311 - chance is to be the same every time
        listed = library.list_images(ImageQuery(limit=1000))
        assert tuple(turn.images[at].id for turn, at in listed) == place.before.listed


# --- twins ------------------------------------------------------------------------------------


def test_the_check_catches_an_index_that_is_believed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without looking through the index, damage goes unnoticed and the check says so.
    """

    def believe(*_: object) -> None:
        return

    monkeypatch.setattr(Index, "_look_through", believe)
    assert any(worse(place, 300))


def test_the_check_catches_an_index_that_is_not_rebuilt(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without building it anew, what is damaged stays so and the check says so.
    """

    def never(_: Exception) -> bool:
        return False

    monkeypatch.setattr("imagesession._library.index._is_broken", never)
    assert any(worse(place, len(DAMAGES)))
