"""
The index is damaged in all ways that a disk, a copy or a killed program can cause: no image is
lost, and the index is rebuilt without an error.
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
from imagesession._engine.image_queries import CostTotals, ImageQuery, SpendingQuery
from imagesession._store.disk.database import Database
from imagesession._store.disk.layout import Layout
from imagesession._store.disk.library import open_library
from imagesession._store.library import LibraryStore
from imagesession.errors import NotFoundError, StorageError
from imagesession.testing import tiny_image

FACTS = ImageHeader(format="png", width=64, height=64, alpha=False)
TURNS = 24
TIMES = pytest.mark.parametrize(
    "times", [30, pytest.param(500, marks=pytest.mark.faults)], ids=["few", "many"]
)
# The errors that count as a failed query in a program that has met a damaged index.
PROBLEMS = (
    StorageError, NotFoundError, sqlite3.Error, UnicodeDecodeError, OSError, LookupError,
    ValueError,
)  # fmt: skip


@attrs.frozen
class Answers:
    """
    The results of all queries that use the index.
    """

    listed: tuple[str, ...]
    by_session: tuple[tuple[str, ...], ...]
    found: tuple[bytes, ...]
    spent: tuple[CostTotals, ...]
    sessions: tuple[str, ...]
    named: tuple[str, ...]


@attrs.define
class SampleLibrary:
    """
    A library, its sound index, and the results of all queries.
    """

    root: Path
    sessions: tuple[str, ...]
    index: bytes = b""
    hot: tuple[bytes, bytes] = (b"", b"")
    before: Answers | None = None

    @property
    def path(self) -> Path:
        """
        The path of the index.
        """
        return self.root / ".imagesession" / "index.sqlite"

    @property
    def leftover(self) -> Path:
        """
        The path of SQLite's rollback journal.
        """
        return self.path.with_name(f"{self.path.name}-journal")

    def mend(self) -> None:
        """
        Restore the sound index.
        """
        self.leftover.unlink(missing_ok=True)
        self.path.write_bytes(self.index)


def keep(library: LibraryStore, number: int, session: str | None) -> None:
    """
    Commit a turn, as a workflow does.
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
    lease = library.intents.write(turn)
    library.turns.commit(
        turn, (ReceivedImage(data=tiny_image(colour=(number, 0, 0)), facts=FACTS),)
    )
    assert not isinstance(lease, Turn)
    lease.release()


def ask(sample: SampleLibrary) -> Answers:
    """
    Run all queries in a newly opened library.
    """
    library = open_library(sample.root)
    pages = [
        library.images.list(ImageQuery(limit=1000, session=session))
        for session in (None, *sample.sessions)
    ]
    ids = [tuple(turn.images[position].id for turn, position in page) for page in pages]
    found = [library.images.find(text) for text in ids[0]]
    return Answers(
        listed=ids[0],
        by_session=tuple(ids[1:]),
        found=tuple(library.images.read(turn.images[position]) for turn, position in found),
        spent=library.images.spending(SpendingQuery(by="session")),
        sessions=tuple(record.id for record in library.sessions.list()),
        named=tuple(library.sessions.find(f"name of {text}").id for text in sample.sessions),
    )


@pytest.fixture
def sample(tmp_path: Path) -> SampleLibrary:
    """
    A library with some sessions and standalone images.
    """
    library = open_library(tmp_path / "library")
    sessions: list[str] = []
    for _ in range(3):
        begun = library.new_id()
        library.sessions.save(
            SessionRecord(
                id=begun.id, description="x", name=f"name of {begun.id}", created=begun.at
            )
        )
        sessions.append(begun.id)
    for number in range(TURNS):
        keep(library, number, (None, *sessions)[number % 4])
    sample = SampleLibrary(Layout(Path(library.address)).root, tuple(sessions))
    sample.before = ask(sample)
    sample.index = sample.path.read_bytes()
    sample.hot = interrupted(sample)
    assert len(sample.before.listed) == TURNS
    return sample


def interrupted(sample: SampleLibrary) -> tuple[bytes, bytes]:
    """
    Return the index and its rollback journal as a program that is killed in a transaction leaves
    them.
    """
    connection = sqlite3.connect(sample.path, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE sessions SET name = zeroblob(3000) || name")
    connection.execute("UPDATE images SET words = zeroblob(3000) || words, position = 7")
    left = sample.path.read_bytes(), sample.leftover.read_bytes()
    connection.execute("ROLLBACK")
    connection.close()
    assert left[0] != sample.index
    return left


# --- damages ----------------------------------------------------------------------------------


def flip(sample: SampleLibrary, chance: random.Random) -> None:
    """
    Change random bytes.
    """
    data = bytearray(sample.index)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    sample.path.write_bytes(data)


def blank(sample: SampleLibrary, chance: random.Random) -> None:
    """
    Zero a range, as a disk does that lost a block.
    """
    start = chance.randrange(0, len(sample.index), 512)
    length = chance.choice((512, 4096))
    data = sample.index[:start] + bytes(length) + sample.index[start + length :]
    sample.path.write_bytes(data[: len(sample.index)])


def truncate(sample: SampleLibrary, chance: random.Random) -> None:
    """
    Truncate it.
    """
    sample.path.write_bytes(sample.index[: chance.randrange(len(sample.index))])


def delete(sample: SampleLibrary, _: random.Random) -> None:
    """
    Delete it.
    """
    sample.path.unlink()


def empty(sample: SampleLibrary, _: random.Random) -> None:
    """
    Empty it.
    """
    sample.path.write_bytes(b"")


def replace(sample: SampleLibrary, chance: random.Random) -> None:
    """
    Replace it by random bytes.
    """
    sample.path.write_bytes(chance.randbytes(chance.randrange(1, 20_000)))


def change_version(sample: SampleLibrary, chance: random.Random) -> None:
    """
    Make it look like one of an older or newer release.
    """
    with contextlib.closing(sqlite3.connect(sample.path, isolation_level=None)) as connection:
        connection.execute(chance.choice(("DROP TABLE turns", "DROP TABLE sessions")))
        connection.execute("CREATE TABLE more (x)")
        connection.execute(f"PRAGMA user_version = {chance.choice((0, 1, 2, 3, 99))}")


def die(sample: SampleLibrary, _: random.Random) -> None:
    """
    Leave it as a program that is killed in a transaction does.
    """
    sample.path.write_bytes(sample.hot[0])
    sample.leftover.write_bytes(sample.hot[1])


def leave_behind(sample: SampleLibrary, chance: random.Random) -> None:
    """
    Leave a damaged rollback journal beside a half-written index, or random bytes beside a sound
    one.
    """
    if chance.random() < 0.5:
        sample.leftover.write_bytes(chance.randbytes(chance.randrange(2000)))
        return
    die(sample, chance)
    data = bytearray(sample.hot[1])
    data[chance.randrange(len(data))] ^= 255
    sample.leftover.write_bytes(data[: chance.randrange(len(data))])


DAMAGES: tuple[Callable[[SampleLibrary, random.Random], None], ...] = (
    flip, flip, flip, blank, truncate, delete, empty, replace, change_version, die, leave_behind,
)  # fmt: skip


def failures(sample: SampleLibrary, times: int) -> Iterator[str]:
    """
    Damage the index in many ways; yield each damage after which a query fails or differs.
    """
    for number in range(times):
        damage = DAMAGES[number % len(DAMAGES)]
        sample.mend()
        damage(sample, random.Random(number))  # noqa: S311 - chance is to be the same every time
        try:
            after: Answers | None = ask(sample)
        except PROBLEMS as problem:
            yield f"{damage.__name__} {number}: {problem!r}"
        else:
            if after != sample.before:
                yield f"{damage.__name__} {number}: other answers"


@TIMES
def test_damaged_index_loses_no_image(sample: SampleLibrary, times: int) -> None:
    """
    After any damage to the index, a new program lists all images in the same order, finds each by
    its id, reads its bytes, and sums the same costs.
    """
    assert list(failures(sample, times)) == []


def test_wrong_rows_are_noticed(sample: SampleLibrary) -> None:
    """
    Rows with a wrong turn, session or position are noticed when they are used, even if the file is
    sound.
    """
    for change in ("turn = id", "session = NULL", "session = 'x' || char(0)", "position = 3"):
        sample.mend()
        with contextlib.closing(sqlite3.connect(sample.path, isolation_level=None)) as connection:
            connection.execute(f"UPDATE images SET {change} WHERE session IS NOT NULL")  # noqa: S608 - our own words
        assert ask(sample) == sample.before, change


def test_open_library_survives_damage(sample: SampleLibrary) -> None:
    """
    A library that is open while its index is damaged continues to work.
    """
    library = open_library(sample.root)
    assert sample.before is not None
    for number, damage in enumerate((truncate, delete, empty, replace)):
        sample.mend()
        library.images.list(ImageQuery())
        damage(sample, random.Random(number))  # noqa: S311 - chance is to be the same every time
        listed = library.images.list(ImageQuery(limit=1000))
        assert tuple(turn.images[at].id for turn, at in listed) == sample.before.listed


# --- broken twins -----------------------------------------------------------------------------


def test_missing_integrity_check_is_caught(
    sample: SampleLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The check works: without the integrity check, damage goes unnoticed.
    """

    def believe(*_: object) -> None:
        return

    monkeypatch.setattr(Database, "_check_integrity", believe)
    assert any(failures(sample, 300))


def test_missing_rebuild_is_caught(sample: SampleLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The check works: without rebuilding, the index stays damaged.
    """

    def never(_: Exception) -> bool:
        return False

    def nothing(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("imagesession._store.disk.database.Database._query_in_memory", nothing)
    monkeypatch.setattr("imagesession._store.disk.database._is_broken", never)
    assert any(failures(sample, len(DAMAGES)))
