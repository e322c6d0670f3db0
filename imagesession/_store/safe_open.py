"""
Open files and folders beneath a folder, without following a link out of it.

Whoever can write into a library could put a link where a folder was, between our looking and our
opening. So a path is not looked at and then opened: it is walked, each part opened from within the
one before, and a part that is a link is refused by the system itself. Where the system cannot do
this, a file that was opened is asked where it lies, and a folder is looked at.

The folder itself may be reached through links: it is the caller's choice.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Generator
from pathlib import Path
from typing import NoReturn

from .atomic_write import PRIVATE_FOLDER, ensure_dir, fsync

# Not every system has all of these flags.
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# A pipe would make us wait for a writer, and a terminal would become ours.
_FILE = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
_WITHIN = {os.open, os.mkdir, os.link, os.rename, os.stat}
HAS_DIR_FD = bool(_NO_LINK) and os.supports_dir_fd >= _WITHIN


def read_within(root: Path, relative: str) -> bytes:
    """
    Read a file beneath a folder.

    Args:
        root: The folder.
        relative: The file's path beneath it, with slashes.

    Raises:
        OSError: It is not there, cannot be read, is no regular file, or a link leads to it.
    """
    with open_within(root, relative) as descriptor, open(descriptor, "rb", closefd=False) as file:
        return file.read()


@contextlib.contextmanager
def open_within(
    root: Path, relative: str, *, walk: bool = HAS_DIR_FD
) -> Generator[int, None, None]:
    """
    Open a file beneath a folder to be read, and close it afterwards.

    Args:
        root: The folder.
        relative: The file's path beneath it, with slashes.
        walk: Whether the path is walked; otherwise what was opened is asked where it lies.

    Yields:
        The file's descriptor.

    Raises:
        OSError: It is not there, cannot be read, is no regular file, or a link leads to it.
    """
    parts = _parts(relative)
    descriptor = _walked(root, parts) if walk else _compared(root, parts)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            _refuse(f"{relative} is no regular file", root / relative)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def open_dir_within(
    root: Path, relative: str, *, make: bool = False, walk: bool = HAS_DIR_FD
) -> Generator[int | None, None, None]:
    """
    Open a folder beneath a folder, so that names can be given in it whatever becomes of its path.

    Args:
        root: The folder above.
        relative: The folder's path beneath it, with slashes.
        make: Whether it is made, durably and for this user alone, where it is missing.
        walk: Whether the path is walked; otherwise it is only looked at, which leaves a gap to
            one who puts a link there in the same moment.

    Yields:
        Its descriptor, for the functions of `durable`; None where the system has none for folders.

    Raises:
        OSError: It is not there, cannot be used, or a link leads to it.
    """
    parts = _parts(relative)
    if not walk:
        _check_folder(root, parts, make=make)
        yield None
        return
    descriptor = _entered(root, parts, make=make)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _parts(relative: str) -> tuple[str, ...]:
    """
    Take a path apart, and refuse one that would not go down.
    """
    parts = tuple(relative.split("/"))
    # A backslash parts a path on Windows, where a colon names a disk or a stream of a file.
    foreign = "\\:\0" if sys.platform == "win32" else "\\\0"
    if set(parts) & {"", ".", ".."} or set(relative) & set(foreign) or not _can_be_named(relative):
        _refuse(f"{relative!r} is no path beneath the library", relative)
    return parts


def _can_be_named(relative: str) -> bool:
    try:
        os.fsencode(relative)
    except UnicodeEncodeError:
        return False
    return True


def _walked(root: Path, parts: tuple[str, ...]) -> int:
    folder = _entered(root, parts[:-1], make=False)
    try:
        return os.open(parts[-1], _FILE | _NO_LINK, dir_fd=folder)
    except OSError as error:
        _explain(error, root, parts, folder)
    finally:
        os.close(folder)


def _entered(root: Path, parts: tuple[str, ...], *, make: bool) -> int:
    """
    Walk down to a folder, and return its descriptor.
    """
    folder = os.open(root, _DIRECTORY)
    for depth, part in enumerate(parts, 1):
        try:
            inner = _enter(folder, part, make=make)
        except OSError as error:
            _explain(error, root, parts[:depth], folder)
        finally:
            os.close(folder)
        folder = inner
    return folder


def _enter(folder: int, part: str, *, make: bool) -> int:
    try:
        return os.open(part, _DIRECTORY | _NO_LINK, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(part, PRIVATE_FOLDER, dir_fd=folder)
    fsync(folder)
    return os.open(part, _DIRECTORY | _NO_LINK, dir_fd=folder)


def _explain(error: OSError, root: Path, parts: tuple[str, ...], folder: int) -> NoReturn:
    """
    Raise an error again, and name the link if there is one; systems give it different numbers.
    """
    if _is_link(parts[-1], folder):
        raise _link_error(root, parts) from error
    error.filename = str(root.joinpath(*parts))
    raise error


def _is_link(part: str, folder: int) -> bool:
    try:
        status = os.stat(part, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISLNK(status.st_mode)


def _compared(root: Path, parts: tuple[str, ...]) -> int:
    """
    Open a file by its path, ask the system where it truly lies, and refuse it anywhere else.
    """
    descriptor = os.open(root.joinpath(*parts), _FILE)
    try:
        _check_true_place(descriptor, root, parts)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_true_place(descriptor: int, root: Path, parts: tuple[str, ...]) -> None:
    if not _is_same(_true_place(descriptor), Path(os.path.realpath(root), *parts)):
        raise _link_error(root, _first_link(root, parts) or parts)


def _true_place(descriptor: int) -> str:
    """
    Return the path of an open file, which nobody can change by swapping what led to it.
    """
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415 - hardly ever needed
        import msvcrt  # noqa: PLC0415 - exists on this platform alone

        handle = ctypes.c_void_p(msvcrt.get_osfhandle(descriptor))
        path = ctypes.create_unicode_buffer(32_768)
        # https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-getfinalpathnamebyhandlew
        if not ctypes.windll.kernel32.GetFinalPathNameByHandleW(handle, path, len(path), 0):
            raise ctypes.WinError()
        return path.value.replace("\\\\?\\UNC\\", "\\\\", 1).removeprefix("\\\\?\\")
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _is_same(text: str, other: Path) -> bool:
    return os.path.normcase(text) == os.path.normcase(other)


def _check_folder(root: Path, parts: tuple[str, ...], *, make: bool) -> None:
    _check_place(root, parts)
    path = root.joinpath(*parts)
    if make:
        ensure_dir(path)
        _check_place(root, parts)
    path.stat()


def _check_place(root: Path, parts: tuple[str, ...]) -> None:
    link = _first_link(root, parts)
    if link is not None:
        raise _link_error(root, link)


def _first_link(root: Path, parts: tuple[str, ...]) -> tuple[str, ...] | None:
    """
    Return the parts as far as the first that is a link, of whatever kind the system has.
    """
    real = Path(os.path.realpath(root))
    for depth in range(1, len(parts) + 1):
        path = real.joinpath(*parts[:depth])
        if not _is_same(os.path.realpath(path), path):
            return parts[:depth]
    return None


def _link_error(root: Path, parts: tuple[str, ...]) -> OSError:
    path = root.joinpath(*parts)
    return OSError(
        errno.ELOOP,
        f"{path} is a link, and links within a library are not followed; put what it leads to in "
        "its place",
        str(path),
    )


def _refuse(words: str, path: Path | str) -> NoReturn:
    raise OSError(errno.EINVAL, words, str(path))
