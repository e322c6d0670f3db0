"""
Write files so that they survive a crash and a power cut.

A file is written under a temporary name, flushed to the disk and given its name; then the folder
that holds the name is flushed too. Each step is needed: see
https://www.usenix.org/conference/osdi14/technical-sessions/presentation/pillai.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import uuid
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

from imagesession._domain.wording import show_path
from imagesession.errors import StorageIOError

from .modes import PRIVATE_FOLDER, PUBLIC_FILE, make_dir, open_file

# Some file systems cannot flush a folder or a file; nothing more can be done then.
_CANNOT_FLUSH = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF})
CANNOT_LINK = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EINVAL}
)
_STALE_SECONDS = 3600.0
_REMEDIES = {
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
    Turn the operating system's errors into a `StorageIOError` that says what to do.
    """
    try:
        yield
    except OSError as error:
        reason = _REMEDIES.get(error.errno or 0, error.strerror or str(error))
        raise StorageIOError(f"The library cannot use {show_path(path)}: {reason}.") from error


def ensure_dir(path: Path, mode: int = PRIVATE_FOLDER) -> None:
    """
    Make a folder with its parents, and make its name durable.
    """
    if path.is_dir():
        return
    if not path.parent.exists():
        ensure_dir(path.parent, mode)
    with contextlib.suppress(FileExistsError):
        make_dir(path, mode)
    fsync_dir(path.parent)


def create_durable(path: Path, data: bytes, scratch: Path) -> None:
    """
    Write a file that must not exist yet, whole or not at all. `scratch` is a folder for unfinished
    files on the same disk, whose mode the file follows.
    """
    with write_temp(data, scratch) as unfinished:
        link_into_place(unfinished, path)


@contextlib.contextmanager
def write_temp(data: bytes, scratch: Path) -> Generator[Path, None, None]:
    """
    Write a file durably under a temporary name, which is removed afterwards.
    """
    unfinished = scratch / uuid.uuid4().hex
    try:
        _write(unfinished, data, flushed=True)
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def link_into_place(unfinished: Path, path: Path, folder: int | None = None) -> None:
    """
    Give a finished file its name, durably, without replacing another file. If the descriptor of the
    target folder is given, only the last part of `path` is used.
    """
    _link(unfinished, path, folder)
    if folder is None:
        fsync_dir(path.parent)
    else:
        fsync(folder)


def unlink_unused(path: Path, folder: int | None = None) -> None:
    """
    Remove a file's name again, before anything refers to it.
    """
    os.unlink(_name(path, folder), dir_fd=folder)


def name_exists(path: Path, folder: int | None = None) -> bool:
    """
    Tell whether a name is in use, even by a broken link.
    """
    try:
        os.stat(_name(path, folder), dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def check_writable(path: Path, folder: int | None = None) -> None:
    """
    Refuse a folder in which no file can be created, by an error whose number tells a read-only disk
    from a permission that is missing.
    """
    target = path if folder is None else "."
    if not os.access(target, os.W_OK | os.X_OK, dir_fd=folder):
        number = errno.EROFS if _is_read_only(path if folder is None else folder) else errno.EACCES
        raise OSError(number, os.strerror(number), str(path))


def _is_read_only(place: Path | int) -> bool:
    with contextlib.suppress(OSError):
        if sys.platform != "win32":
            return bool(os.statvfs(place).f_flag & os.ST_RDONLY)
    return False


def replace_durable(path: Path, data: bytes, scratch: Path) -> None:
    """
    Replace a file durably; readers see either the old or the new content, whole.
    """
    with write_temp(data, scratch) as unfinished:
        os.replace(unfinished, path)  # noqa: PTH105 - beside os.link and os.open
    fsync_dir(path.parent)


def append_line(path: Path, line: bytes, *, new: bool) -> None:
    """
    Append a line to a file durably.

    It starts on a new line, even if a power cut left the line before unfinished.
    """
    flags = os.O_RDWR | os.O_APPEND | (os.O_CREAT | os.O_EXCL if new else 0)
    with _opened(path, flags) as descriptor:
        separator = b"\n" if _lacks_newline(descriptor) else b""
        _write_all(descriptor, separator + line + b"\n")
        fsync(descriptor)
    if new:
        fsync_dir(path.parent)


def write_lines(lines: Mapping[Path, bytes]) -> None:
    """
    Write many new files of one folder durably, each with one line; all of them, or none.

    They are flushed together after all were written: often the first flush writes all of them.
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


def write_atomic(
    path: Path, data: bytes, scratch: Path, folder: int | None = None, *, mode: int | None = None
) -> None:
    """
    Write a file that can be rebuilt from others: whole or not at all, but not flushed.
    """
    unfinished = scratch / uuid.uuid4().hex
    try:
        _write(unfinished, data, flushed=False, mode=mode)
        os.replace(unfinished, _name(path, folder), dst_dir_fd=folder)
    finally:
        unfinished.unlink(missing_ok=True)


def write_public(path: Path, data: bytes, unfinished: Path, *, replace: bool) -> None:
    """
    Write a file outside of the library, whole or not at all, as readable as the user's other files.
    """
    try:
        with open(unfinished, "xb", opener=_open_public) as file:
            _write_all(file.fileno(), data)
            fsync(file.fileno())
        if replace:
            unfinished.replace(path)
        else:
            _link(unfinished, path, None)
    finally:
        unfinished.unlink(missing_ok=True)


def remove_stale_temps(scratch: Path) -> None:
    with contextlib.suppress(OSError):  # on a read-only disk they stay
        is_stale = stale_test(scratch)
        for leftover in scratch.iterdir():
            with contextlib.suppress(OSError):  # it is gone
                if is_stale(leftover):
                    leftover.unlink()


def stale_test(folder: Path) -> Callable[[Path], bool]:
    """
    Return the function that tells whether a file was last written more than an hour ago, by the
    clock of its disk: that of this machine, or of another one that shares it, may be wrong. A
    folder on that disk is touched.
    """
    os.utime(folder)
    now = folder.stat().st_mtime
    return lambda file: now - file.stat().st_mtime > _STALE_SECONDS


def fsync_dir(path: Path) -> None:
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
            # fsync does not reach the disk itself there: see its man page.
            import fcntl  # noqa: PLC0415 - exists on this platform alone

            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise


def _open_public(path: str, flags: int) -> int:
    return os.open(path, flags, PUBLIC_FILE)


def _write(path: Path, data: bytes, *, flushed: bool, mode: int | None = None) -> None:
    with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode) as descriptor:
        _write_all(descriptor, data)
        if flushed:
            fsync(descriptor)


@contextlib.contextmanager
def _opened(path: Path, flags: int, mode: int | None = None) -> Generator[int, None, None]:
    descriptor = open_file(path, flags, mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lacks_newline(descriptor: int) -> bool:
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
            # Link the scratch file itself, even if another program replaced it by a link.
            os.link(unfinished, path.name, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in CANNOT_LINK:
            raise
        # Without hard links, the gap between this check and the rename cannot be closed.
        if name_exists(path, folder):
            raise FileExistsError(errno.EEXIST, "File exists", str(path)) from error
        os.rename(unfinished, _name(path, folder), dst_dir_fd=folder)


def _name(path: Path, folder: int | None) -> str | Path:
    """
    Return the name to use for a file: relative to its folder's descriptor, if that is open.
    """
    return path if folder is None else path.name
