"""
Rights on disk cost one open file, leave nothing behind, and belong to one process.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from imagesession._store.disk.layout import Layout
from imagesession._store.disk.library import DiskLibrary
from imagesession._store.disk.rights import DiskRights
from tests.store.contract.implementations import OnDisk
from tests.store.contract.promises import right_is_held_by_one, rights_of_a_dead_program_are_free


def leases(library: DiskLibrary) -> int:
    """
    Count the leases in a library.
    """
    return len(list(library.layout.locks.glob("*.*")))


def no_links(*_: object, **__: object) -> None:
    """
    Refuse to make a hard link, as some file systems do.
    """
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_rights_work_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    On a file system without hard links, rights are as exclusive, and end with their process too.
    """
    monkeypatch.setattr(os, "link", no_links)
    right_is_held_by_one(OnDisk(tmp_path))
    rights_of_a_dead_program_are_free(OnDisk(tmp_path))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are not listed there")
def test_many_rights_need_one_open_file(tmp_path: Path) -> None:
    """
    However many rights a process holds, it has one file open for them.
    """
    library = DiskLibrary(tmp_path)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names will do
    held = [library.rights.hold(f"intent {number}") for number in range(300)]
    assert None not in held
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # noqa: PTH208 - as above
    assert leases(library) == 300
    del held
    assert leases(library) == 0


def test_leftovers_of_dead_programs_are_removed(tmp_path: Path) -> None:
    """
    The first right that a program takes removes what dead programs have left, and nothing that a
    living one holds.
    """
    kept = OnDisk(tmp_path)
    living = DiskLibrary(tmp_path / "library")
    for number in range(3):
        kept.hold_and_die(f"x {number}")
    held = living.rights.hold("y")
    assert held is not None
    assert leases(living) == 1
    other = DiskLibrary(tmp_path / "library")
    assert other.rights.hold("z") is not None
    assert held.is_held
    assert other.rights.is_held("y")
    living.rights.close()
    assert other.rights.is_held("y")
    held.release()
    living.rights.close()
    other.rights.close()
    assert [file.name for file in living.layout.locks.iterdir()] == ["mutex"]


def test_lease_that_cannot_be_removed_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If the disk refuses to remove a released lease, this process can take the right again.
    """
    rights = DiskLibrary(tmp_path).rights

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    lease = rights.hold("x")
    assert lease is not None
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        lease.release()
    assert not rights.is_held("x")
    again = rights.hold("x")
    assert again is not None
    assert not lease.is_held


@pytest.mark.skipif(sys.platform == "win32", reason="there are no forks there")
def test_fork_holds_no_rights(tmp_path: Path) -> None:
    """
    A forked process has none of its parent's rights, cannot give them back, and does not keep them
    when its parent ends.
    """
    library = DiskLibrary(tmp_path)
    lease = library.rights.hold("x")
    assert lease is not None
    to_child, from_child = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        lease.release()
        has_none = not lease.is_held and library.rights.is_held("x")
        own = library.rights.hold("y")
        os.write(from_child[1], b"ok" if has_none and own is not None else b"no")
        os.read(to_child[0], 1)
        os._exit(0)
    assert os.read(from_child[0], 2) == b"ok"
    other = DiskRights(Layout(tmp_path))
    assert other.is_held("x")
    assert other.is_held("y")
    lease.release()
    library.rights.close()
    assert other.hold("x") is not None
    os.write(to_child[1], b"x")
    os.waitpid(child, 0)
    assert not other.is_held("y")
