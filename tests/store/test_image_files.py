"""
Images get unique names.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from imagesession._domain.image_header import ImageFormat, ImageHeader
from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import Turn
from imagesession._engine.http import ReceivedImage
from imagesession._store.disk import blobs
from imagesession._store.disk.blobs import DiskBlobs
from imagesession._store.disk.layout import Layout
from imagesession._store.disk.library import open_library
from imagesession._store.files.atomic_write import link_into_place
from imagesession._store.library import LibraryStore

NOW = dt.datetime(2026, 11, 24, 12, 0, 0, tzinfo=dt.UTC)


def received(form: ImageFormat) -> ReceivedImage:
    """
    Return a received image with arbitrary bytes.
    """
    facts = ImageHeader(format=form, width=1, height=1, alpha=False)
    return ReceivedImage(data=form.encode(), facts=facts)


@pytest.fixture
def library(tmp_path: Path) -> LibraryStore:
    """
    An empty library.
    """
    return open_library(tmp_path)


@pytest.fixture
def turn(library: LibraryStore) -> Turn:
    """
    A turn of a session.
    """
    session, begun = library.new_id(), library.new_id()
    return Turn(id=begun.id, session=session.id, prompt="x", options=GenerateOptions(), started=NOW)


def test_images_of_one_second_do_not_share_a_sidecar(library: LibraryStore, turn: Turn) -> None:
    """
    An image and its sidecar share a stem; so no two images of different formats get the same stem,
    even while there is no sidecar yet.
    """
    forms: tuple[ImageFormat, ...] = ("png", "gif", "svg", "png", "webp", "jpeg")
    images = [
        DiskBlobs(Layout(Path(library.address))).put_new(turn, NOW, received(form))
        for form in forms
    ]
    stems = [Path(image).stem for image in images]
    assert len(set(stems)) == len(forms)
    contents = [(Path(library.address) / image).read_bytes() for image in images]
    assert contents == [form.encode() for form in forms]


def test_name_taken_at_the_same_moment_is_not_shared(
    library: LibraryStore, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If another program takes the stem after it was checked, our image gets the next one, and nothing
    is left behind.
    """
    others: list[Path] = []

    def late(unfinished: Path, path: Path, folder: int | None = None) -> None:
        if not others:
            others.append(path.with_suffix(".gif"))
            others[0].write_bytes(b"theirs")
        link_into_place(unfinished, path, folder)

    monkeypatch.setattr(blobs, "link_into_place", late)
    image = DiskBlobs(Layout(Path(library.address))).put_new(turn, NOW, received("png"))
    ours = Path(library.address) / image
    assert ours.stem != others[0].stem
    assert sorted(ours.parent.iterdir()) == sorted([others[0], ours])
