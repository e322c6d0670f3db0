"""
Pictures get names that they share with nothing else.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from imagesession._library import shelf
from imagesession._library.durable import give_name
from imagesession._library.library import Library
from imagesession._model.options import Options
from imagesession._model.pictures import PictureFacts, PictureFormat
from imagesession._model.turns import Turn
from imagesession._plan.wire import Received

NOW = dt.datetime(2026, 11, 24, 12, 0, 0, tzinfo=dt.UTC)


def received(form: PictureFormat) -> Received:
    """
    A picture that came; its bytes are nobody's concern here.
    """
    facts = PictureFacts(format=form, width=1, height=1, alpha=False)
    return Received(data=form.encode(), facts=facts)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """
    An empty library.
    """
    return Library(tmp_path)


@pytest.fixture
def turn(library: Library) -> Turn:
    """
    A turn of a session whose pictures come within a second.
    """
    session, begun = library.begin(), library.begin()
    return Turn(id=begun.id, session=session.id, prompt="x", options=Options(), started=NOW)


def test_pictures_of_one_second_do_not_share_their_metadata(library: Library, turn: Turn) -> None:
    """
    What lies beside a picture is named as it is but for the suffix; so no two pictures of other
    formats have the same name, also while nothing lies beside them yet.
    """
    forms: tuple[PictureFormat, ...] = ("png", "gif", "svg", "png", "webp", "jpeg")
    put = [
        shelf.put(library.layout, turn, NOW, received(form), library.begin().id) for form in forms
    ]
    stems = [Path(image.file).stem for image in put]
    assert len(set(stems)) == len(forms)
    kept = [(library.layout.root / image.file).read_bytes() for image in put]
    assert kept == [form.encode() for form in forms]


def test_pictures_that_come_at_the_same_moment_do_not_either(
    library: Library, turn: Turn, monkeypatch: pytest.MonkeyPatch
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
        give_name(unfinished, path, folder)

    monkeypatch.setattr(shelf, "give_name", late)
    image = shelf.put(library.layout, turn, NOW, received("png"), library.begin().id)
    ours = library.layout.root / image.file
    assert ours.stem != others[0].stem
    assert sorted(ours.parent.iterdir()) == sorted([others[0], ours])
