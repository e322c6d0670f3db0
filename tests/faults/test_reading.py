"""
Reading needs no writing: on a read-only or full disk, and in the library of another user, images
are listed, opened, searched and summed up, and the right reason is given for what cannot be done.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagesession import Studio
from imagesession.errors import StorageIOError
from imagesession.testing import FakeOpenAI, tiny_image
from tests.conftest import MakeStudio
from tests.faults.test_disk import fill, posts, small_disk, tool
from tests.faults.test_forks import in_child

assert small_disk
PROMPTS = {"a teapot", "bluer", *(f"number {number}" for number in range(20))}


def prepare(library: Path, change: str) -> None:
    """
    Make a library, by another program so that nothing of it is in memory.

    Args:
        library: Its folder.
        change: What befalls it: "no index", an "old index", or "unindexed" turns.
    """
    studio: Any
    with Studio.offline(library) as studio:
        session = studio.session("kitchen", name="q")
        session.generate("a teapot", quality="low")
        session.generate("bluer", quality="low")
        studio.images.list()
        for number in range(20):
            studio.images.import_file(tiny_image(), prompt=f"number {number}")
    index = library / ".imagesession" / "index.sqlite"
    if change == "no index":
        index.unlink()
    elif change == "old index":
        with contextlib.closing(sqlite3.connect(index)) as connection:
            connection.execute("PRAGMA user_version = 1")


def see(library: str, gallery: str) -> dict[str, Any]:
    """
    Look at a library in every way.
    """
    with Studio.offline(library, provider=FakeOpenAI()) as studio:
        images = studio.images.list(limit=100)
        session = studio.open("q")
        report = studio.doctor()
        seen = {
            "prompts": sorted(image.prompt for image in images),
            "bytes": sum(len(image.bytes) for image in images),
            "found": [image.prompt for image in studio.images.list(text="NUMBER 7")],
            "by id": studio.images.get(images[0].id).prompt,
            "turns": [turn.prompt for turn in session.turns()],
            "sessions": [record.name for record in studio.sessions.list()],
            "cost": studio.costs().total.dollars,
            "images": studio.stats().total_images,
            "gallery": Path(studio.gallery(gallery)).stat().st_size,
            "pending": len(studio.requests.pending()),
            "problems": {c.name: c.message for c in report.checks if c.state != "ok"},
        }
        with pytest.raises(StorageIOError) as caught:
            studio.generate("another")
        return {**seen, "reason": caught.value.message}


def check(seen: dict[str, Any], *reasons: str) -> None:
    """
    Check that everything was seen, and that the reason for what failed is one of some.
    """
    assert set(seen["prompts"]) == PROMPTS
    assert (seen["found"], seen["turns"]) == (["number 7"], ["a teapot", "bluer"])
    assert (seen["sessions"], seen["images"], seen["pending"]) == (["q"], 2, 0)
    assert min(seen["bytes"], seen["cost"], seen["gallery"]) > 0
    assert any(reason in seen["reason"] for reason in reasons), seen["reason"]
    wrong = [m for m in seen["problems"].values() if "cannot be checked" in m]
    assert wrong == []


STATES = ["no index", "old index", "unindexed"]


@pytest.mark.parametrize("change", STATES)
def test_read_only_disk(small_disk: Path, tmp_path: Path, change: str) -> None:
    """
    A library on a read-only disk can be looked at, whatever its index is like.
    """
    library = small_disk / "library"
    prepare(library, change)
    subprocess.run([tool("mount"), "-o", "remount,ro", str(small_disk)], check=True)
    seen = see(str(library), str(tmp_path / "gallery.html"))
    check(seen, "the disk is read-only")
    assert "the disk is read-only" in seen["problems"]["library"]


@pytest.mark.parametrize("change", STATES)
def test_full_disk(small_disk: Path, tmp_path: Path, change: str) -> None:
    """
    On a full disk, what may be deleted to make room can be seen.
    """
    library = small_disk / "library"
    prepare(library, change)
    fill(small_disk)
    check(see(str(library), str(tmp_path / "gallery.html")), "Make room", "make room")


@pytest.mark.skipif(sys.platform == "win32" or os.getuid() != 0, reason="only root is another user")
@pytest.mark.parametrize("change", STATES)
def test_library_of_another_user(change: str, tmp_path: Path) -> None:
    """
    A library that may be read and not written can be looked at.
    """
    folder = Path("/tmp") / f"imagesession-{os.getpid()}"  # noqa: S108 - others may not enter ours
    try:
        prepare(folder / "library", change)
        # Once as ourselves: another user may not import what is imported late.
        prepare(tmp_path, "unindexed")
        with pytest.raises(pytest.fail.Exception):
            see(str(tmp_path), str(tmp_path / "gallery.html"))
        subprocess.run([tool("chmod"), "-R", "a+rX", str(folder)], check=True)
        (folder / "out").mkdir()
        (folder / "out").chmod(0o777)

        def as_another() -> dict[str, Any]:
            os.setgroups([])
            os.setuid(65534)
            return see(str(folder / "library"), str(folder / "out" / "gallery.html"))

        seen: Any = in_child(as_another)()
        assert "prompts" in seen, seen
        check(seen, "permission is denied")
    finally:
        shutil.rmtree(folder)


def test_new_records_are_seen_without_an_index(
    make_studio: MakeStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What another program adds is seen although the index cannot be opened, and is not read again
    while nothing changes.
    """
    prepare(tmp_path, "no index")
    (tmp_path / ".imagesession" / "index.sqlite").mkdir()
    studio, other = make_studio(tmp_path), make_studio(tmp_path)
    assert {image.prompt for image in studio.images.list(limit=100)} == PROMPTS
    other.generate("new", quality="low")
    assert {image.prompt for image in studio.images.list(limit=100)} == {*PROMPTS, "new"}
    monkeypatch.setattr("imagesession._store.disk.index_schema.create_tables", _fail)
    assert len(studio.images.list(limit=100)) == len(PROMPTS) + 1


def _fail(*_: object) -> None:
    raise AssertionError("it was read again")


def test_nothing_is_seen_where_nothing_can_be_read(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    If the records are gone as well, this is an error and not an empty list.
    """
    prepare(tmp_path / "library", "unindexed")
    studio = make_studio(tmp_path / "library", provider=provider)
    (tmp_path / "library").rename(tmp_path / "moved")
    operations: tuple[Callable[[], object], ...] = (studio.images.list, studio.costs)
    for operation in operations:
        with pytest.raises(StorageIOError):
            operation()
    assert posts(provider) == 0
