"""
Files and folders are opened within the library, and no link leads out of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagesession._store.files.atomic_write import link_into_place, name_exists, write_atomic
from imagesession._store.files.safe_open import (
    HAS_DIR_FD,
    open_dir_within,
    open_within,
    read_within,
)
from imagesession.errors import InvalidImageError, StorageIOError

SECRET = b"secret"
PARTS = ["..", ".", "", "outside", "a.png", "x"]
WAYS = pytest.mark.parametrize("walk", [True, False], ids=["walked", "compared"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """
    A folder with a nested file, and beside it a folder that must not be reached.
    """
    inside, outside = tmp_path / "library" / "products" / "x", tmp_path / "outside" / "x"
    for folder, data in ((inside, b"ours"), (outside, SECRET)):
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(data)
    (tmp_path / "outside" / "a.png").write_bytes(SECRET)
    return tmp_path / "library"


def read(root: Path, relative: str, *, walk: bool) -> bytes:
    """
    Read a file by walking its path or by comparing its true path.
    """
    with open_within(root, relative, walk=walk) as descriptor:
        return os.read(descriptor, 100)


def replace_by_link(link: Path, target: Path) -> None:
    """
    Replace a file or folder by a link.
    """
    link.rename(link.with_name("away"))
    link.symlink_to(target)


@contextlib.contextmanager
def all_closed(root: Path) -> Generator[None, None, None]:
    """
    Check that no file within a folder is left open, if the system has /proc.
    """
    yield
    opened = [path.resolve() for path in Path("/proc/self/fd").glob("*")]
    assert [path for path in opened if path.is_relative_to(root)] == []


@WAYS
def test_files_are_read(root: Path, walk: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    """
    A file is read by its path within a folder, even if the folder itself is reached through a link.
    """
    with all_closed(root.parent):
        assert read(root, "products/x/a.png", walk=walk) == b"ours"
        (root.parent / "link").symlink_to(root)
        assert read(root.parent / "link", "products/x/a.png", walk=walk) == b"ours"
    assert HAS_DIR_FD
    assert read_within(root, "products/x/a.png") == b"ours"


@WAYS
@pytest.mark.parametrize("planted_at", ["products", "products/x", "products/x/a.png"])
@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_links_are_refused(root: Path, walk: bool, planted_at: str, absolute: bool) -> None:  # noqa: FBT001 - pytest passes them by name
    """
    A link anywhere on the path is refused, and the error names it, even if its target is within the
    library.
    """
    outside = root.parent / "outside"
    target = outside / planted_at.removeprefix("products").strip("/")
    link = root / planted_at
    for end in (target, link.with_name("away")):
        replace_by_link(link, end if absolute else Path(os.path.relpath(end, link.parent)))
        with (
            all_closed(root.parent),
            pytest.raises(OSError, match=rf"{re.escape(str(link))} is a link"),
        ):
            read(root, "products/x/a.png", walk=walk)
        link.unlink()
        link.with_name("away").rename(link)


@WAYS
@pytest.mark.parametrize("planted_at", ["products", "products/x"])
def test_folders_behind_links_are_refused(root: Path, walk: bool, planted_at: str) -> None:  # noqa: FBT001 - pytest passes it by name
    """
    A folder is neither opened nor created through a link.
    """
    link = root / planted_at
    replace_by_link(link, root.parent / "outside")
    for relative in ("products/x", "products/x/new"):
        with (
            all_closed(root.parent),
            pytest.raises(OSError, match=rf"{re.escape(str(link))} is a link"),
            open_dir_within(root, relative, make=0o700, walk=walk),
        ):
            pass
    assert not list((root.parent / "outside").rglob("new"))


@WAYS
@pytest.mark.parametrize(
    "relative",
    [
        *("", ".", "..", "/", "//", "products//x", "products/./x/a.png", "products/x/a.png/", "\0"),
        *("../outside/a.png", "products/../../outside/a.png", "products/x/..", "\udcff\ud800"),
        *("products\\x\\a.png", "..\\outside\\a.png", "/etc/passwd", "//etc/passwd"),
    ],
)
def test_paths_that_lead_out_are_refused(root: Path, walk: bool, relative: str) -> None:  # noqa: FBT001 - pytest passes it by name
    """
    A path that is absolute, has a parent folder, or an empty part is refused before anything is
    opened.
    """
    with pytest.raises(OSError, match="is not a path within the library"):
        read(root, relative, walk=walk)
    with (
        pytest.raises(OSError, match="is not a path within the library"),
        open_dir_within(root, relative, make=0o700, walk=walk),
    ):
        pass


@given(st.text() | st.lists(st.sampled_from(PARTS)).map("/".join))
@example("%2e%2e/outside/a.png")
@example("..%c0%afoutside/a.png")
@example("\uff0e\uff0e/outside/a.png")
@example("a" * 5000)
def test_arbitrary_paths_stay_within(
    tmp_path_factory: pytest.TempPathFactory, relative: str
) -> None:
    """
    No path reads a file outside of the folder.
    """
    above = tmp_path_factory.getbasetemp() / "above"
    root = above / "library"
    root.mkdir(parents=True, exist_ok=True)
    (above / "outside").mkdir(exist_ok=True)
    (above / "outside" / "a.png").write_bytes(SECRET)
    for walk in (True, False):
        with pytest.raises(OSError, match=r".+"):
            read(root, relative, walk=walk)


@WAYS
def test_only_regular_files_are_opened(root: Path, walk: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    """
    A folder, a pipe and a socket are refused at once, without waiting.
    """
    os.mkfifo(root / "pipe")
    with all_closed(root.parent):
        for name in ("products", "pipe"):
            with pytest.raises(OSError, match=f"{name} is not a regular file"):
                read(root, name, walk=walk)
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(root):
        listener.bind("socket")
        with pytest.raises(OSError, match=r".+"):
            read(root, "socket", walk=walk)


@WAYS
def test_missing_file_is_named_by_its_full_path(root: Path, walk: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    """
    The error for a missing file has its full path.
    """
    for relative in ("products/y/a.png", "products/x/b.png"):
        with pytest.raises(FileNotFoundError, match=re.escape(str(root))):
            read(root, relative, walk=walk)
    with pytest.raises(NotADirectoryError, match=re.escape(str(root))):
        read(root, "products/x/a.png/b", walk=walk)
    with pytest.raises(FileNotFoundError), open_dir_within(root, "products/y", walk=walk):
        pass


@WAYS
def test_missing_folders_are_created(root: Path, walk: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    """
    Missing folders are created for this user alone, and files can be named in them.
    """
    before = os.umask(0)
    try:
        with open_dir_within(root, "new/er", make=0o700, walk=walk) as folder:
            unfinished = root / "unfinished"
            unfinished.write_bytes(b"x")
            assert not name_exists(root / "new/er/a", folder)
            link_into_place(unfinished, root / "new/er/a", folder)
            assert name_exists(root / "new/er/a", folder)
            with pytest.raises(FileExistsError):
                link_into_place(unfinished, root / "new/er/a", folder)
            write_atomic(root / "new/er/b", b"y", root, folder)
    finally:
        os.umask(before)
    assert (root / "new/er/a").read_bytes() == b"x"
    assert (root / "new/er/b").read_bytes() == b"y"
    for made in (root / "new", root / "new/er"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    with open_dir_within(root, "new/er", make=0o700, walk=walk):
        pass


def test_open_folder_keeps_its_identity(root: Path, tmp_path: Path) -> None:
    """
    A file named in an open folder is put there, even if a link has replaced the folder's path.
    """
    unfinished = tmp_path / "unfinished"
    unfinished.write_bytes(b"x")
    with open_dir_within(root, "products/x") as folder:
        replace_by_link(root / "products" / "x", tmp_path / "outside")
        link_into_place(unfinished, root / "products" / "x" / "b.png", folder)
        write_atomic(root / "products" / "x" / "b.json", b"{}", tmp_path, folder)
    assert (root / "products" / "away" / "b.png").read_bytes() == b"x"
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["a.png", "x"]


def test_without_hard_links_files_are_renamed_in_an_open_folder(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    On file systems without hard links a file is renamed into the open folder.
    """

    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with open_dir_within(root, "products/x") as folder:
        for name in ("a.png", "b.png"):
            unfinished = tmp_path / "unfinished"
            unfinished.write_bytes(b"x")
            taken = pytest.raises(FileExistsError) if name == "a.png" else contextlib.nullcontext()
            with taken:
                link_into_place(unfinished, root / "products" / "x" / name, folder)
    assert (root / "products/x/a.png").read_bytes() == b"ours"
    assert (root / "products/x/b.png").read_bytes() == b"x"


def test_link_occupies_its_name(root: Path, tmp_path: Path) -> None:
    """
    Even a broken link occupies its name, and nothing is written through it.
    """
    (root / "products/x/b.png").symlink_to(tmp_path / "b.png")
    unfinished = tmp_path / "unfinished"
    unfinished.write_bytes(b"x")
    with open_dir_within(root, "products/x") as folder:
        assert name_exists(root / "products/x/b.png", folder)
        with pytest.raises(FileExistsError):
            link_into_place(unfinished, root / "products/x/b.png", folder)
        write_atomic(root / "products/x/b.png", b"y", tmp_path, folder)
    assert not (tmp_path / "b.png").exists()
    assert (root / "products/x/b.png").read_bytes() == b"y"


def test_image_is_not_read_through_a_link(studio: Any, tmp_path: Path) -> None:
    """
    A link in an image's place is refused, and the error says what to do.
    """
    image = studio.generate("a teapot")
    secret = tmp_path / "secret.png"
    secret.write_bytes(image.bytes)
    replace_by_link(image.path, secret)
    with pytest.raises(InvalidImageError, match="is a link, and links within a library"):
        _ = image.bytes
    with pytest.raises(InvalidImageError, match="is a link"):
        studio.generate("the same in blue", references=image)
    image.path.unlink()
    image.path.with_name("away").rename(image.path)
    assert image.bytes == secret.read_bytes()


def test_image_is_not_written_through_a_link(studio: Any, tmp_path: Path) -> None:
    """
    A link in the place of a product's folder, or of its parent, is an error that names it, and
    nothing is written to its target.
    """
    first = studio.product("Mug").path
    outside = tmp_path / "outside"
    (outside / first.parent.name).mkdir(parents=True)
    for folder in (first.parent, first.parent.parent):
        replace_by_link(folder, outside)
        with pytest.raises(StorageIOError, match=rf"{re.escape(str(folder))} is a link"):
            studio.product("Mug")
        folder.unlink()
        folder.with_name("away").rename(folder)
    assert [path for path in outside.rglob("*") if path.is_file()] == []
    assert studio.product("Mug").path.parent == first.parent
