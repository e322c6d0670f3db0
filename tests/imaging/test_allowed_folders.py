"""
Files that callers name are read only within the folders that are allowed.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagesession import AllowedFolders
from imagesession._imaging import allowed_folders
from imagesession.errors import InvalidImageError


def only_in(root: Path) -> AllowedFolders:
    """
    Allow a single folder.
    """
    return AllowedFolders((root,))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_pipes_and_folders_are_rejected(tmp_path: Path) -> None:
    """
    A pipe is rejected without waiting for a writer.
    """
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "folder.png"):
        with pytest.raises(InvalidImageError):
            only_in(tmp_path).read(tmp_path / name)


def test_link_created_in_between_is_not_followed(tmp_path: Path) -> None:
    """
    A file that is replaced by a link between resolving and opening is rejected, and so is a
    replaced folder.
    """
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "in").mkdir(parents=True)
    outside.mkdir()
    (outside / "a.png").write_bytes(b"secret")
    (root / "in" / "a.png").write_bytes(b"harmless")
    real_path = only_in(root).resolve(str(root / "in" / "a.png"))
    assert only_in(root).read(real_path) == b"harmless"
    (root / "in" / "a.png").unlink()
    (root / "in" / "a.png").symlink_to(outside / "a.png")
    with pytest.raises(InvalidImageError):
        only_in(root).read(real_path)
    (root / "in" / "a.png").unlink()
    (root / "in").rmdir()
    (root / "in").symlink_to(outside)
    with pytest.raises(InvalidImageError):
        only_in(root).read(real_path)


def test_files_opened_by_path_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The way of opening files on Windows rejects links too.
    """
    monkeypatch.setattr(allowed_folders, "_OPENS_STEPWISE", False)
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "a.png").write_bytes(b"secret")
    (root / "b.png").write_bytes(b"harmless")
    assert only_in(root).read(root / "b.png") == b"harmless"
    (root / "c.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(InvalidImageError):
        only_in(root).read(root / "c.png")


def test_large_files_are_rejected(tmp_path: Path) -> None:
    """
    A file over the limit is not read completely.
    """
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(26_000_000)
    with pytest.raises(InvalidImageError, match="25 MB"):
        only_in(tmp_path).read(tmp_path / "large.png")


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)
@given(path_text=st.text(max_size=60) | st.text("/.~\\ab\0:", max_size=20).map("/".__add__))
def test_no_path_leads_outside(tmp_path: Path, path_text: str) -> None:
    """
    Any text as a path leads within the root or is rejected.
    """
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    (root / "a").write_bytes(b"harmless")
    for text in (path_text, f"{root}/{path_text}"):
        with contextlib.suppress(InvalidImageError):
            real_path = only_in(root).resolve(text)
            assert real_path.is_relative_to(root)
            assert real_path == real_path.resolve()


def test_copy_has_its_metadata_and_nothing_outside(tmp_path: Path) -> None:
    """
    A copy takes along the metadata files beside the image, but not what a link there leads to.
    """
    root, copies = tmp_path / "root", tmp_path / "copies"
    for folder in (root, copies):
        folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (root / "a.png").write_bytes(b"picture")
    (root / "a.json").symlink_to(tmp_path / "secret")
    (root / "a_metadata.json").write_text("{}")
    assert only_in(root).copy(root / "a.png", copies) == copies / "a.png"
    assert {file.name: file.read_text() for file in copies.iterdir()} == {
        "a.png": "picture",
        "a_metadata.json": "{}",
    }


def test_closed_folder_opens_only_the_first_root(tmp_path: Path) -> None:
    """
    Of a closed folder only the caller's own folder is open, whatever else is allowed around it.
    """
    for name in ("ann", "bob"):
        (tmp_path / "all" / name).mkdir(parents=True)
        (tmp_path / "all" / name / "a.png").write_bytes(name.encode())
    (tmp_path / "photo.png").write_bytes(b"photo")
    folders = AllowedFolders((tmp_path / "all" / "ann", tmp_path), tmp_path / "all", "Ask Eve.")
    for path in ("all/ann/a.png", "photo.png"):
        assert folders.read(folders.resolve(str(tmp_path / path)))
    with pytest.raises(InvalidImageError, match=r"^mask_path names no file .* Ask Eve\.$"):
        folders.resolve(str(tmp_path / "all" / "bob" / "a.png"), "mask_path")
    with pytest.raises(InvalidImageError):
        folders.read(tmp_path / "all" / "bob" / "a.png")
