"""
The library on disk is durable and private, and repairs its disposable parts.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from imagesession._domain.image_header import ImageHeader
from imagesession._domain.options import GenerateOptions
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import HeadMove
from imagesession._domain.turn import Turn, is_id
from imagesession._engine.http import ReceivedImage
from imagesession._engine.image_queries import ImageQuery, SpendingQuery
from imagesession._store import codec
from imagesession._store.disk import index_schema
from imagesession._store.disk.database import Database
from imagesession._store.disk.index import MAX_PENDING_IN_LOOKUPS, DiskIndex
from imagesession._store.disk.index_schema import page, tally
from imagesession._store.disk.layout import Layout
from imagesession._store.disk.library import open_library
from imagesession._store.files import atomic_write
from imagesession._store.ids import UlidFactory
from imagesession._store.library import LibraryStore
from imagesession._store.records import turn_key
from imagesession.errors import (
    CorruptRecordError,
    InvalidImageError,
    NotFoundError,
    StorageIOError,
    UnsupportedFormatVersionError,
)
from imagesession.testing import tiny_image
from tests.conftest import MakeStudio

PNG = ReceivedImage(
    data=tiny_image(), facts=ImageHeader(format="png", width=64, height=64, alpha=False)
)


@pytest.fixture
def library(tmp_path: Path) -> LibraryStore:
    """
    An empty library.
    """
    return open_library(tmp_path / "library")


def settle(
    library: LibraryStore,
    session: str | None = None,
    pictures: int = 1,
    idempotency_key: str | None = None,
) -> Turn:
    """
    Commit a turn, as a workflow does.
    """
    begun = library.new_id()
    turn = Turn(
        id=begun.id,
        session=session,
        status="completed",
        prompt="a teapot",
        options=GenerateOptions(),
        started=begun.at,
        idempotency_key=idempotency_key,
    )
    library.intents.write(turn)
    library.intents.record_response_id(turn, "resp_1")
    return library.turns.commit(turn, (PNG,) * pictures)


def start(library: LibraryStore) -> SessionRecord:
    """
    Save a new session.
    """
    begun = library.new_id()
    record = SessionRecord(id=begun.id, description="x", created=begun.at)
    library.sessions.save(record)
    return record


def listed(library: LibraryStore) -> list[str]:
    """
    Return the ids of all images, the latest first.
    """
    found = library.images.list(ImageQuery(limit=1000))
    return [turn.images[position].id for turn, position in found]


def test_images_have_readable_names(library: LibraryStore) -> None:
    """
    An image is in the folder of its kind, named by its session, the time and a number.
    """
    session = start(library).id
    first = settle(library, session, pictures=2)
    names = [Path(image.file).name for image in first.images]
    stamp = f"{first.finished:%Y%m%dT%H%M%SZ}"
    assert names == [f"session_{session[-8:].lower()}_{stamp}_{number:02}.png" for number in (1, 2)]
    assert all(image.file.startswith("general/") for image in first.images)
    assert Path(library.images.path(first.images[0])).read_bytes() == PNG.data


def test_everything_is_private(library: LibraryStore) -> None:
    """
    Folders and files are for the user alone, whatever the umask.
    """
    before = os.umask(0)
    try:
        settle(library)
        listed(library)
    finally:
        os.umask(before)
    root = Layout(Path(library.address)).root
    for path in (root, *root.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_no_scratch_files_remain(library: LibraryStore) -> None:
    """
    Scratch files are removed once a turn is settled, and its intent once it is indexed.
    """
    for _ in range(MAX_PENDING_IN_LOOKUPS + 1):
        settle(library, pictures=3)
    listed(library)
    assert list(Layout(Path(library.address)).tmp.iterdir()) == []
    assert list(Layout(Path(library.address)).journal.iterdir()) == []


def test_images_are_flushed_before_the_record(
    library: LibraryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The order of durable steps: intent, id, image, record; each file flushed before it is named,
    and each name flushed before the next step.
    """
    steps: list[str] = []
    names: dict[int, str] = {}

    def whole(path: Any, folder: int | None = None) -> str:
        return str(path if folder is None else Path(names[folder], path))

    def watch(name: str, describe: Callable[..., str]) -> None:
        real = getattr(os, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            result = real(*args, **kwargs)
            if name == "open":
                names[result] = whole(args[0], kwargs.get("dir_fd"))
            else:
                steps.append(describe(*args, **kwargs))
            return result

        monkeypatch.setattr(os, name, watched)

    def kind(path: str) -> str:
        place = Path(path).relative_to(Layout(Path(library.address)).root)
        if place.parts[:2] == (".imagesession", "tmp"):
            return "scratch"
        parts = [part for part in place.parts if part != ".imagesession"]
        return parts[0] + ("/file" if place.suffix else "")

    watch("open", str)

    def flushed(descriptor: int) -> str:
        return f"flush {kind(names[descriptor])}"

    def named(_: Path, target: Path | str, *, dst_dir_fd: int | None = None, **__: bool) -> str:
        return f"name {kind(whole(target, dst_dir_fd))}"

    watch("fsync", flushed)
    watch("link", named)
    settle(library)
    # The right to an intent ends with its process, so it need not be flushed.
    assert [step for step in steps if step != "name locks/file"] == [
        "flush journal/file",
        "flush journal",
        "flush journal/file",
        "flush scratch",
        "name general/file",
        "flush general",
        "flush scratch",
        "name turns/file",
        "flush turns",
    ]


def test_changed_record_is_flushed_before_it_replaces(
    library: LibraryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A session's changed record is flushed before it replaces the old one, and its folder after.
    """
    record = start(library)
    steps: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def watched(*args: Any, name: str = name, real: Any = real) -> Any:
            steps.append(name)
            return real(*args)

        monkeypatch.setattr(os, name, watched)
    library.sessions.update(record.id, lambda known: attrs.evolve(known, name="new"))
    assert steps == ["fsync", "replace", "fsync"]


def test_existing_file_is_not_replaced(tmp_path: Path) -> None:
    """
    Writing under a name that is in use fails and leaves the other file as it was.
    """
    target = tmp_path / "a"
    atomic_write.create_durable(target, b"first", tmp_path)
    with pytest.raises(FileExistsError):
        atomic_write.create_durable(target, b"second", tmp_path)
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def test_without_hard_links_files_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    On file systems without hard links, an existing file is not replaced either.
    """

    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    target = tmp_path / "a"
    atomic_write.create_durable(target, b"first", tmp_path)
    with pytest.raises(FileExistsError):
        atomic_write.create_durable(target, b"second", tmp_path)
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def test_failed_flush_does_not_settle_the_turn(
    library: LibraryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If flushing fails, the turn is not settled, no image has a name, and the intent remains.
    """
    begun = library.new_id()
    turn = Turn(
        id=begun.id, prompt="x", options=GenerateOptions(), started=begun.at, status="completed"
    )
    library.intents.write(turn)

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", broken)
        with pytest.raises(StorageIOError, match="Input/output error"):
            library.turns.commit(turn, (PNG,))
    assert list((Layout(Path(library.address)).root / "general").iterdir()) == []
    assert Layout(Path(library.address)).journal_file(turn.id, turn.session).exists()
    assert listed(library) == []
    assert len(library.turns.commit(turn, (PNG,)).images) == 1


@pytest.mark.parametrize("number", [28, 30, 13, 20, 24])
def test_disk_errors_say_what_to_do(tmp_path: Path, number: int) -> None:
    """
    The operating system's errors become a `StorageIOError` that says what to do.
    """
    advice = {28: "make room", 30: "read-only", 13: "permissions", 20: "is a file", 24: "too many"}
    with (
        pytest.raises(StorageIOError, match=advice[number]),
        atomic_write.translate_os_errors(tmp_path),
    ):
        raise OSError(number, "x")


def test_library_cannot_be_a_file(tmp_path: Path) -> None:
    """
    A library cannot be created at the path of a file.
    """
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageIOError, match="choose another library folder"):
        open_library(tmp_path / "file")


def test_newer_library_is_refused(library: LibraryStore) -> None:
    """
    A library that a newer version wrote is not opened, and the error says to update.
    """
    settle(library)
    Layout(Path(library.address)).format.write_text('{"format": 3, "min_reader": 3}')
    with pytest.raises(UnsupportedFormatVersionError, match="pip install -U imagesession"):
        open_library(Layout(Path(library.address)).root)
    Layout(Path(library.address)).format.write_text('{"format": 3, "min_reader": 2}')
    assert len(listed(open_library(Layout(Path(library.address)).root))) == 1


@pytest.mark.parametrize("text", ["", "{}", "[]", "7", '{"min_reader": "x"}'])
def test_damaged_format_file_is_named(library: LibraryStore, text: str) -> None:
    """
    A damaged FORMAT file is an error that names it.
    """
    Layout(Path(library.address)).format.write_text(text)
    with pytest.raises(CorruptRecordError, match="FORMAT"):
        open_library(Layout(Path(library.address)).root)


def _delete(index: Path) -> None:
    index.unlink()


def _garble(index: Path) -> None:
    index.write_bytes(b"not a database at all, but long enough to look like a file" * 50)


def _empty(index: Path) -> None:
    index.write_bytes(b"")


def _truncate(index: Path) -> None:
    index.write_bytes(index.read_bytes()[:5000])


def _age(index: Path) -> None:
    with sqlite3.connect(index) as connection:
        connection.execute("PRAGMA user_version = 0")
    connection.close()


def _renew(index: Path) -> None:
    with sqlite3.connect(index) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("DROP TABLE images")
        connection.execute('CREATE TABLE "other; things" (id)')
    connection.close()


def _lose_table(index: Path) -> None:
    with sqlite3.connect(index) as connection:
        connection.execute("DROP TABLE images")
    connection.close()


@pytest.mark.parametrize("damage", [_delete, _garble, _empty, _truncate, _age, _renew, _lose_table])
def test_damaged_index_is_rebuilt(library: LibraryStore, damage: Callable[[Path], None]) -> None:
    """
    A missing, damaged, older or newer index is rebuilt from the records, without an error.
    """
    session = start(library).id
    for _ in range(3):
        settle(library, session)
    settle(library, pictures=2)
    before = listed(library)
    pending = settle(library)
    damage(Layout(Path(library.address)).index)
    before.insert(0, pending.images[0].id)
    assert listed(library) == before
    assert len(before) == 6
    fresh = open_library(Layout(Path(library.address)).root)
    damage(Layout(Path(library.address)).index)
    turn, position = fresh.images.find(before[-1])
    assert turn.images[position].id == before[-1]


def test_damaged_record_does_not_hide_others(library: LibraryStore) -> None:
    """
    Rebuilding skips a damaged record; reading it reports the damage.
    """
    session = start(library)
    first, second = settle(library, session.id), settle(library, session.id)
    Layout(Path(library.address)).turn_file(session.id, first.id).write_text("{")
    Layout(Path(library.address)).index.unlink(missing_ok=True)
    assert listed(open_library(Layout(Path(library.address)).root)) == [second.images[0].id]
    with pytest.raises(CorruptRecordError, match=first.id):
        open_library(Layout(Path(library.address)).root).sessions.tree(session)


def test_unindexed_turn_is_found(library: LibraryStore) -> None:
    """
    A turn whose process died after recording it is found by every lookup, before it is indexed and
    after, and counts once.
    """
    turns = [settle(library, idempotency_key=f"number {number}") for number in range(3)]
    other = open_library(Layout(Path(library.address)).root)
    for is_indexed in (False, True):
        assert listed(other) == [turn.images[0].id for turn in reversed(turns)]
        assert other.images.find(turns[1].images[0].id) == (turns[1], 0)
        assert other.intents.completed_under("number 1") == turns[1]
        assert sum(totals.images for totals in other.images.spending(SpendingQuery())) == 3
        assert (list(Layout(Path(library.address)).journal.iterdir()) == []) is is_indexed
        other.check_health(verify=False)


def erase_first(library: LibraryStore, turn: Turn) -> None:
    """
    Put a record without its first image in place of a turn's.
    """
    left = attrs.evolve(turn, images=turn.images[1:])
    library.ports.facts.replace(turn_key(turn), codec.dump_turn(left))


def is_sound(library: LibraryStore) -> bool:
    """
    Tell whether index and records agree.
    """
    return all(check.state == "ok" for check in library.check_health(verify=True))


@pytest.mark.parametrize("step", ["replace", "unlink"])
def test_turn_replaced_by_a_program_that_dies_is_indexed(
    library: LibraryStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """
    If a program dies while it puts a record in place of one that is not indexed yet, others find
    the turn all the same.
    """
    assert is_sound(library)  # so that there is an index, which does not know the turn
    turn = settle(library, pictures=2)
    place = {"replace": index_schema, "unlink": Path}[step]
    real = getattr(place, step)

    def die(*arguments: Any, **options: Any) -> None:
        real(*arguments, **options)
        if step == "replace" or arguments[0].suffix == ".jsonl":
            raise KeyboardInterrupt

    monkeypatch.setattr(place, step, die)
    with pytest.raises(KeyboardInterrupt):
        erase_first(library, turn)
    monkeypatch.undo()
    other = open_library(Path(library.address))
    assert is_sound(other)
    assert turn.images[1].id in listed(other)


def test_replaced_turn_is_not_indexed_as_it_was(
    library: LibraryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A program that was about to index a turn when another one replaced its record does not bring
    back what is gone.
    """
    turn = settle(library, pictures=2)
    other = open_library(Path(library.address))
    add = Database.add

    def add_late(self: Database, *arguments: Any) -> None:
        patch.undo()
        erase_first(library, turn)
        add(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Database, "add", add_late)
        cast("DiskIndex", other.ports.index).refresh(max_pending=0)
    rows = other.ports.index.page(ImageQuery())
    assert [row.image for row in rows] == [turn.images[1].id]


def test_turn_indexed_during_a_lookup_counts_once(library: LibraryStore) -> None:
    """
    A turn that another process indexes between the reading of the journal and the query counts
    once.
    """
    turn = settle(library)
    library.check_health(verify=False)
    index = Database(Layout(Path(library.address)).index, tuple)
    for pending in ([], [turn]):
        found = index.query(lambda connection: page(connection, ImageQuery()), pending)
        assert [row.turn for row in found] == [turn.id]
        costs = index.query(lambda connection: tally(connection, SpendingQuery()), pending)
        assert [totals.images for totals in costs] == [1]


def test_lookup_does_not_wait_for_a_writer(library: LibraryStore) -> None:
    """
    A lookup does not wait for a process that is writing to the index.
    """
    turn = settle(library)
    with Database(Layout(Path(library.address)).index, tuple).locked():
        assert listed(library) == [turn.images[0].id]


def test_journal_is_indexed_now_and_then(
    library: LibraryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Settled turns are indexed now and then, even if images are never listed.
    """
    monkeypatch.setattr("imagesession._store.disk.index.MAX_UNINDEXED", 3)
    for _ in range(10):
        settle(library)
    assert len(list(Layout(Path(library.address)).journal.iterdir())) <= 3
    assert len(listed(library)) == 10


def test_damaged_journal_is_tolerated(library: LibraryStore) -> None:
    """
    A library with an unreadable journal file or record can be listed and written.
    """
    turn, other = settle(library), settle(library)
    (Layout(Path(library.address)).journal / "nonsense.jsonl").write_text("{}\n")
    record = Layout(Path(library.address)).turn_file(None, turn.id)
    record.write_text(record.read_text().replace('"format": 2', '"format": 3'))
    opened = open_library(Layout(Path(library.address)).root)
    assert listed(opened) == [other.images[0].id]
    assert settle(opened).images


def test_failed_sidecar_does_not_undo_the_turn(
    library: LibraryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If the sidecar cannot be written, the turn is committed anyway.
    """

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("imagesession._store.disk.blobs.write_atomic", full)
    turn = settle(library)
    assert listed(library) == [turn.images[0].id]


def test_stale_scratch_files_are_removed(library: LibraryStore) -> None:
    """
    Scratch files older than an hour are removed at opening, younger ones are not.
    """
    old, young = (
        Layout(Path(library.address)).tmp / "old",
        Layout(Path(library.address)).tmp / "young",
    )
    old.write_text("x")
    young.write_text("x")
    os.utime(old, (0, 0))
    open_library(Layout(Path(library.address)).root)
    assert list(Layout(Path(library.address)).tmp.iterdir()) == [young]


def test_image_is_stored_during_interpreter_shutdown(
    library: LibraryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If no thread can be started any more, a large image is stored anyway.
    """

    def ending(_: object) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr("threading.Thread.start", ending)
    monkeypatch.setattr("imagesession._store.turns._THREAD_MIN_BYTES", 0)
    turn = settle(library)
    assert turn.images[0].sha256 == hashlib.sha256(PNG.data).hexdigest()


def test_unsettled_intent_stays(library: LibraryStore) -> None:
    """
    Listing does not remove intents that another process may be working on, nor unfinished ones.
    """
    begun = library.new_id()
    library.intents.write(
        Turn(id=begun.id, prompt="x", options=GenerateOptions(), started=begun.at)
    )
    (Layout(Path(library.address)).journal / "cut.jsonl").write_text('{"owner"')
    assert listed(library) == []
    assert len(list(Layout(Path(library.address)).journal.iterdir())) == 2


def test_missing_image_file_is_named(library: LibraryStore) -> None:
    """
    If an image's file is missing, reading it names the image.
    """
    image = settle(library).images[0]
    Path(library.images.path(image)).unlink()
    with pytest.raises(InvalidImageError, match=image.id):
        library.images.read(image)


def test_concurrent_session_changes_are_kept(
    library: LibraryStore, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    Concurrent changes to a session do not undo each other.
    """
    record = start(library)

    def move(number: int) -> None:
        own = open_library(Layout(Path(library.address)).root)
        own.sessions.update(
            record.id,
            lambda known: attrs.evolve(
                known,
                moves={**known.moves, f"branch {number}": HeadMove(id=str(number), head=None)},
            ),
        )

    in_threads([lambda number=number: move(number) for number in range(12)])  # type: ignore[misc]
    assert len(library.sessions.find(record.id).moves) == 12


def test_failed_change_leaves_the_session(library: LibraryStore) -> None:
    """
    If a change fails, the record is unchanged, and the library is not locked.
    """
    record = start(library)

    def fail(_: SessionRecord) -> SessionRecord:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        library.sessions.update(record.id, fail)
    closed = dt.datetime.now(dt.UTC)
    library.sessions.update(record.id, lambda known: attrs.evolve(known, closed=closed))
    assert library.sessions.find(record.id).closed == closed


def test_ids_are_monotonic(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Ids sort in the order in which they were made, even if the clock is set back.
    """
    factory = UlidFactory()
    made = [factory.new() for _ in range(1000)]
    monkeypatch.setattr("imagesession._store.ids.time.time_ns", lambda: 0)
    made += [factory.new() for _ in range(10)]
    assert made == sorted(set(made))
    assert all(is_id(text) for text in made)


def test_ids_are_unique_across_factories(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Programs that continue from the same id, because their clocks are behind it, make different
    ids, each in ascending order.
    """
    first = UlidFactory()
    seen = first.new()
    monkeypatch.setattr("imagesession._store.ids.time.time_ns", lambda: 0)
    made = [
        [factory.new(seen) for _ in range(100)] for factory in (first, UlidFactory(), UlidFactory())
    ]
    assert all(ids == sorted(ids) and ids[0] > seen for ids in made)
    assert len({text for ids in made for text in ids}) == 300


def test_listed_images_are_counted_after_a_clock_error(
    make_studio: MakeStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If a clock is set back for a moment, and two programs continue from the same id, one in a
    session and one outside, both images are listed and counted.
    """
    first, second = make_studio(tmp_path / "library"), make_studio(tmp_path / "library")
    session = first.session("a tea shop")
    session.generate("a teapot")
    real = time.time_ns
    wrong: list[int] = []
    monkeypatch.setattr(time, "time_ns", lambda: wrong.pop() if wrong else real())
    session.branch("other")
    line = second.open(session.id, branch="other")
    for generate in (line.generate, first.generate):
        wrong.append(real() - 3_600_000_000_000)
        generate("a cup")
    assert len(first.images.list()) == 3
    assert first.costs().total.images == 3


@pytest.mark.parametrize(
    "text", ["", "a", "../x", "0" * 27, "I" * 26, "8" + "0" * 25, "0" * 26 + "\n"]
)
def test_other_texts_are_not_ids(text: str) -> None:
    """
    A text that is not an id, such as a part of a path, is not taken for one.
    """
    assert not is_id(text)


def test_unknown_image_is_not_found(library: LibraryStore) -> None:
    """
    An unknown id is an error that lists the latest images.
    """
    with pytest.raises(NotFoundError, match="none yet"):
        library.images.find("x")
    image = settle(library).images[0]
    with pytest.raises(NotFoundError) as caught:
        library.images.find("x")
    assert caught.value.known == (image.id,)
