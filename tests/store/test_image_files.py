"""
Pictures get names that they share with nothing else.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from imagesession._domain.image_header import ImageHeader, PictureFormat
from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import Turn
from imagesession._engine.http import ReceivedImage
from imagesession._store import image_files
from imagesession._store.atomic_write import link_into_place
from imagesession._store.repository import LibraryStore

NOW = dt.datetime(2026, 11, 24, 12, 0, 0, tzinfo=dt.UTC)


def received(form: PictureFormat) -> ReceivedImage:
    """
    A picture that came; its bytes are nobody's concern here.
    """
    facts = ImageHeader(format=form, width=1, height=1, alpha=False)
    return ReceivedImage(data=form.encode(), facts=facts)


@pytest.fixture
def library(tmp_path: Path) -> LibraryStore:
    """
    An empty library.
    """
    return LibraryStore(tmp_path)


@pytest.fixture
def turn(library: LibraryStore) -> Turn:
    """
    A turn of a session whose pictures come within a second.
    """
    session, begun = library.new_id(), library.new_id()
    return Turn(id=begun.id, session=session.id, prompt="x", options=GenerateOptions(), started=NOW)


def test_pictures_of_one_second_do_not_share_their_metadata(
    library: LibraryStore, turn: Turn
) -> None:
    """
    What lies beside a picture is named as it is but for the suffix; so no two pictures of other
    formats have the same name, also while nothing lies beside them yet.
    """
    forms: tuple[PictureFormat, ...] = ("png", "gif", "svg", "png", "webp", "jpeg")
    put = [
        image_files.store_image(library.layout, turn, NOW, received(form), library.new_id().id)
        for form in forms
    ]
    stems = [Path(image.file).stem for image in put]
    assert len(set(stems)) == len(forms)
    kept = [(library.layout.root / image.file).read_bytes() for image in put]
    assert kept == [form.encode() for form in forms]


def test_pictures_that_come_at_the_same_moment_do_not_either(
    library: LibraryStore, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A picture of another program that takes the name after it was looked for has it; ours takes
    the next, and leaves nothing behind.
    """
    others: list[Path] = []

    def late(unfinished: Path, path: Path, folder: int | None = None) -> None:
        if not others:
            others.append(path.with_suffix(".gif"))
            others[0].write_bytes(b"theirs")
        link_into_place(unfinished, path, folder)

    monkeypatch.setattr(image_files, "link_into_place", late)
    image = image_files.store_image(library.layout, turn, NOW, received("png"), library.new_id().id)
    ours = library.layout.root / image.file
    assert ours.stem != others[0].stem
    assert sorted(ours.parent.iterdir()) == sorted([others[0], ours])
