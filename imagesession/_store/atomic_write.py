"""
Write files so that they survive a crash and a power cut.

A file is written under a temporary name, flushed to the disk, given its name, and then the folder
that holds the name is flushed too. Leaving out any of these loses files in some order of events;
see https://www.usenix.org/conference/osdi14/technical-sessions/presentation/pillai.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
import uuid
from collections.abc import Generator, Mapping
from pathlib import Path

from imagesession.errors import StorageIOError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
# Some file systems cannot flush a folder or a file; there is nothing more that one could do then.
_CANNOT_FLUSH = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF})
_CANNOT_LINK = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EINVAL}
)
_OLD_SECONDS = 3600.0
_WHAT_TO_DO = {
    errno.ENOSPC: "the disk is full; make room",
    errno.EDQUOT: "the disk quota is used up; make room",
    errno.EROFS: "the disk is read-only; choose another library folder",
    errno.EACCES: "permission is denied; choose another library folder or change its permissions",
    errno.EPERM: "permission is denied; choose another library folder or change its permissions",
    errno.ENOTDIR: "a part of the path is a file; choose another library folder",
    errno.EMFILE: "too many files are open in this process; close some or raise the limit",
    errno.ENFILE: "too many files are open on this machine; close some or raise the limit",
}


@contextlib.contextmanager
def translate_os_errors(path: Path) -> Generator[None, None, None]:
    """
    Turn the operating system's errors into ones that say what to do.
    """
    try:
        yield
    except OSError as error:
        reason = _WHAT_TO_DO.get(error.errno or 0, error.strerror or str(error))
        raise StorageIOError(f"The library cannot use {path}: {reason}.") from error


def ensure_dir(path: Path) -> None:
    """
    Make a folder for this user alone, with its parents, and make its name durable.
    """
    if path.is_dir():
        return
    if not path.parent.exists():
        ensure_dir(path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=PRIVATE_FOLDER)
    fsync_dir(path.parent)


def create_durable(path: Path, data: bytes, scratch: Path) -> None:
    """
    Write a file that must not exist yet; it is there whole, or not at all.

    Args:
        path: Where it shall be.
        data: All of it.
        scratch: A folder for unfinished files, on the same disk.

    Raises:
        FileExistsError: There is a file of that name.
    """
    with write_temp(data, scratch) as unfinished:
        link_into_place(unfinished, path)


@contextlib.contextmanager
def write_temp(data: bytes, scratch: Path) -> Generator[Path, None, None]:
    """
    Write a file that is on the disk, but not under its name yet; it is gone afterwards.
    """
    unfinished = scratch / uuid.uuid4().hex
    try:
        _write(unfinished, data, flushed=True)
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def link_into_place(unfinished: Path, path: Path, folder: int | None = None) -> None:
    """
    Give a finished file its name, durably, without taking it from another.

    Args:
        unfinished: Where it lies.
        path: Where it shall be.
        folder: The descriptor of the folder that it shall be in, where that is open; the path
            above the name is not used then.

    Raises:
        FileExistsError: There is a file of that name.
    """
    _link(unfinished, path, folder)
    if folder is None:
        fsync_dir(path.parent)
    else:
        fsync(folder)


def unlink_unused(path: Path, folder: int | None = None) -> None:
    """
    Take a file's name from it again, before anybody relies on it.

    Args:
        path: The name.
        folder: The descriptor of the folder that it is in, where that is open.
    """
    os.unlink(_name(path, folder), dir_fd=folder)


def name_exists(path: Path, folder: int | None = None) -> bool:
    """
    Tell whether there is anything of a name, be it a link that leads nowhere.

    Args:
        path: Where it would be.
        folder: The descriptor of the folder that it would be in, where that is open.
    """
    try:
        os.stat(_name(path, folder), dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def check_writable(path: Path, folder: int | None = None) -> None:
    """
    Refuse a folder in which no file could be made, before one is wanted.

    Args:
        path: The folder.
        folder: Its descriptor, where that is open.

    Raises:
        PermissionError: No file can be made there.
    """
    target = path if folder is None else "."
    if not os.access(target, os.W_OK | os.X_OK, dir_fd=folder):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def replace_durable(path: Path, data: bytes, scratch: Path) -> None:
    """
    Write a file in place of another; readers see the one or the other, whole.
    """
    with write_temp(data, scratch) as unfinished:
        os.replace(unfinished, path)  # noqa: PTH105 - beside os.link and os.open
    fsync_dir(path.parent)


def append_line(path: Path, line: bytes, *, new: bool) -> None:
    """
    Append a line to a file durably.

    It begins on a line of its own, even where the one before was cut short by a power cut.
    """
    flags = os.O_RDWR | os.O_APPEND | (os.O_CREAT | os.O_EXCL if new else 0)
    with _opened(path, flags) as descriptor:
        lead = b"\n" if _is_cut_short(descriptor) else b""
        _write_all(descriptor, lead + line + b"\n")
        fsync(descriptor)
    if new:
        fsync_dir(path.parent)


def write_lines(lines: Mapping[Path, bytes]) -> None:
    """
    Write many new files of one folder durably, each with one line; all of them, or none.

    They are flushed together, after all were written: a disk that takes them at once is done after
    the first.

    Args:
        lines: The lines by the files' paths.

    Raises:
        FileExistsError: One of the files is there already.
    """
    written: list[Path] = []
    try:
        for path, line in lines.items():
            with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
                written.append(path)
                _write_all(descriptor, line + b"\n")
        for path in written:
            with _opened(path, os.O_RDWR) as descriptor:
                fsync(descriptor)
        for folder in {path.parent for path in written}:
            fsync_dir(folder)
    except BaseException:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        raise


def write_atomic(path: Path, data: bytes, scratch: Path, folder: int | None = None) -> None:
    """
    Write a file that can be made again from others: whole or not at all, but not flushed.

    Args:
        path: Where it shall be.
        data: All of it.
        scratch: A folder for unfinished files, on the same disk.
        folder: The descriptor of the folder that it shall be in, where that is open.
    """
    unfinished = scratch / uuid.uuid4().hex
    try:
        _write(unfinished, data, flushed=False)
        os.replace(unfinished, _name(path, folder), dst_dir_fd=folder)
    finally:
        unfinished.unlink(missing_ok=True)


def remove_stale_temps(scratch: Path) -> None:
    """
    Remove what processes left unfinished that died an hour ago or more.
    """
    for leftover in scratch.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > _OLD_SECONDS:
                leftover.unlink()


def fsync_dir(path: Path) -> None:
    """
    Make the names in a folder durable, where the system can.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync(descriptor: int) -> None:
    """
    Make what was written to an open file or folder durable, where the system can.
    """
    try:
        if sys.platform == "darwin":
            # fsync does not reach the platter there: see its man page.
            import fcntl  # noqa: PLC0415 - exists on this platform alone

            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise


def _write(path: Path, data: bytes, *, flushed: bool) -> None:
    with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
        _write_all(descriptor, data)
        if flushed:
            fsync(descriptor)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Generator[int, None, None]:
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), PRIVATE_FILE)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_cut_short(descriptor: int) -> bool:
    """
    Tell whether the last line of a file lacks its end.
    """
    if not os.lseek(descriptor, 0, os.SEEK_END):
        return False
    os.lseek(descriptor, -1, os.SEEK_END)
    return os.read(descriptor, 1) != b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _link(unfinished: Path, path: Path, folder: int | None) -> None:
    try:
        if folder is None:
            os.link(unfinished, path)
        else:
            # The scratch file itself, should somebody have put a link in its place.
            os.link(unfinished, path.name, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        # A file system without hard links: the gap between looking and renaming stays open.
        if name_exists(path, folder):
            raise FileExistsError(errno.EEXIST, "File exists", str(path)) from error
        os.rename(unfinished, _name(path, folder), dst_dir_fd=folder)


def _name(path: Path, folder: int | None) -> str | Path:
    """
    Return what a file is called from within its folder, where that is open.
    """
    return path if folder is None else path.name
