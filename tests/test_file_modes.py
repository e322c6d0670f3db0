"""
Who may read what a studio writes.

Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagesession.errors import InvalidRequestError
from imagesession.testing import FakeOpenAI, tiny_image
from tests.conftest import MakeStudio

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes")
PAINTED_ONCE = FakeOpenAI()


@pytest.fixture
def umask() -> Iterator[None]:
    """
    Forbid others everything by the umask.
    """
    before = os.umask(0o077)
    yield
    os.umask(before)


def write_everything(studio: Any, outside: Path) -> None:
    """
    Let a studio write files of every kind, within the library and outside of it.
    """
    session = studio.session("x", name="Tea", references=[tiny_image()])
    first = session.generate("a fox", quality="low")
    session.edit("bluer", image=tiny_image(), quality="low")
    first.branch("other").generate("greener", quality="low")
    studio.product("mug", quality="low")
    studio.batches.create(["a star"])
    session.export(outside / "folder")
    session.export(outside / "tea.zip")
    studio.gallery(outside / "page" / "gallery.html")
    session.contact_sheet(outside / "sheet.png")
    studio.doctor()


def modes(*folders: Path) -> dict[str, set[int]]:
    """
    Return the modes of all files and folders within folders, with the folders themselves.
    """
    paths = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    return {
        "files": {path.stat().st_mode & 0o777 for path in paths if path.is_file()},
        "folders": {path.stat().st_mode & 0o777 for path in paths if path.is_dir()},
    }


@pytest.mark.parametrize("mode,folders", [(0o640, 0o750), (0o660, 0o770), (0o644, 0o755)])
@pytest.mark.usefixtures("umask")
def test_mode_holds_for_all_that_is_written(
    make_studio: MakeStudio, tmp_path: Path, mode: int, folders: int
) -> None:
    """
    Images, metadata, records, journal, locks, index, exports, galleries and contact sheets get the
    mode, whatever the umask is; who may read a file may also list its folder.
    """
    outside = tmp_path / "outside"
    outside.mkdir()
    studio = make_studio(tmp_path / "library", provider=PAINTED_ONCE, mode=mode)
    write_everything(studio, outside)
    assert modes(tmp_path / "library") == {"files": {mode}, "folders": {folders}}
    outside.chmod(folders)
    assert modes(outside) == {"files": {mode}, "folders": {folders}}
    assert studio.doctor().check("permissions").message == f"files have the mode {mode:#o}."


@pytest.mark.usefixtures("umask")
def test_library_keeps_its_mode(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A library gets a mode with all that is in it, but for what is not the library's, and another
    program on it writes like that without being told.
    """
    library = tmp_path / "library"
    private = make_studio(library, provider=PAINTED_ONCE)
    session = private.session("x", name="Tea")
    session.generate("a fox", quality="low")
    (library / "notes.txt").write_text("mine")
    make_studio(library, provider=PAINTED_ONCE, mode=0o660)
    another = make_studio(library, provider=PAINTED_ONCE)
    another.open("Tea").generate("a fox at night", quality="low")
    another.gallery(library / "gallery.html")
    assert (library / "notes.txt").stat().st_mode & 0o777 == 0o600
    (library / "notes.txt").unlink()
    assert modes(library) == {"files": {0o660}, "folders": {0o770}}


def test_files_are_private_by_default(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Without a mode, files and folders are for their owner alone.
    """
    before = os.umask(0)
    try:
        studio = make_studio(tmp_path / "library", provider=PAINTED_ONCE)
        (tmp_path / "outside").mkdir(mode=0o700)
        write_everything(studio, tmp_path / "outside")
    finally:
        os.umask(before)
    private = {"files": {0o600}, "folders": {0o700}}
    assert modes(tmp_path / "library", tmp_path / "outside") == private


@pytest.mark.parametrize("mode", [640, "0o640", 0o700, 0o440, 0o604 | 0o1000, True, -1, 0.5])
def test_senseless_modes_are_refused(make_studio: MakeStudio, tmp_path: Path, mode: Any) -> None:
    """
    A mode that is none, shuts out the owner or makes programs of images is refused at once.
    """
    with pytest.raises(InvalidRequestError, match="0o640"):
        make_studio(tmp_path / "library", mode=mode)
    assert not (tmp_path / "library").exists()
