"""
Open files and folders within a folder, without following a link out of it.

Another program that can write to a library could replace a folder by a link between a check and the
opening. So paths are walked: each part is opened relative to the descriptor of the one before, and
the system itself refuses links. On systems without this, a file's true path is checked after it was
opened, and a folder's path before.

The path of the root folder itself may contain links.
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

from imagesession._domain.wording import quote

from .atomic_write import ensure_dir, fsync
from .modes import make_dir

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
    Read a file within a folder, by its path with slashes.

    Raises:
        OSError: It is missing, cannot be read, is not a regular file, or is reached by a link.
    """
    with open_within(root, relative) as descriptor, open(descriptor, "rb", closefd=False) as file:
        return file.read()


@contextlib.contextmanager
def open_within(
    root: Path, relative: str, *, walk: bool = HAS_DIR_FD
) -> Generator[int, None, None]:
    """
    Open a file within a folder for reading, and close it afterwards; raises as `read_within`. If
    the path is not walked, the true path is checked after opening.
    """
    parts = _parts(relative)
    descriptor = _open_by_walking(root, parts) if walk else _open_and_compare(root, parts)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            _refuse(f"{relative} is not a regular file", root / relative)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def open_dir_within(
    root: Path, relative: str, *, make: int | None = None, walk: bool = HAS_DIR_FD
) -> Generator[int | None, None, None]:
    """
    Open a folder within a folder, so that files can be named in it even if its path changes; yield
    None on systems without descriptors of folders. With the mode `make`, it is created durably if
    it is missing. If the path is not walked, it is only checked, and a link that is put there
    between the check and the use is followed.
    """
    parts = _parts(relative)
    if not walk:
        _check_folder(root, parts, make=make)
        yield None
        return
    descriptor = _walk_to_folder(root, parts, make=make)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _parts(relative: str) -> tuple[str, ...]:
    """
    Split a path, and refuse one that could lead out of the folder.
    """
    parts = tuple(relative.split("/"))
    # On Windows a backslash is a separator, and a colon names a drive or a stream of a file.
    foreign = "\\:\0" if sys.platform == "win32" else "\\\0"
    if set(parts) & {"", ".", ".."} or set(relative) & set(foreign) or not _is_encodable(relative):
        _refuse(f"{quote(relative)} is not a path within the library", relative)
    return parts


def _is_encodable(relative: str) -> bool:
    try:
        os.fsencode(relative)
    except UnicodeEncodeError:
        return False
    return True


def _open_by_walking(root: Path, parts: tuple[str, ...]) -> int:
    folder = _walk_to_folder(root, parts[:-1], make=None)
    try:
        return os.open(parts[-1], _FILE | _NO_LINK, dir_fd=folder)
    except OSError as error:
        _reraise(error, root, parts, folder)
    finally:
        os.close(folder)


def _walk_to_folder(root: Path, parts: tuple[str, ...], *, make: int | None) -> int:
    folder = os.open(root, _DIRECTORY)
    for depth, part in enumerate(parts, 1):
        try:
            inner = _open_subfolder(folder, part, make=make)
        except OSError as error:
            _reraise(error, root, parts[:depth], folder)
        finally:
            os.close(folder)
        folder = inner
    return folder


def _open_subfolder(folder: int, part: str, *, make: int | None) -> int:
    try:
        return os.open(part, _DIRECTORY | _NO_LINK, dir_fd=folder)
    except FileNotFoundError:
        if make is None:
            raise
    with contextlib.suppress(FileExistsError):
        make_dir(part, make, folder)
    fsync(folder)
    return os.open(part, _DIRECTORY | _NO_LINK, dir_fd=folder)


def _reraise(error: OSError, root: Path, parts: tuple[str, ...], folder: int) -> NoReturn:
    """
    Raise an error again, and name the link if there is one: its error number depends on the system.
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


def _open_and_compare(root: Path, parts: tuple[str, ...]) -> int:
    descriptor = os.open(root.joinpath(*parts), _FILE)
    try:
        _check_true_path(descriptor, root, parts)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_true_path(descriptor: int, root: Path, parts: tuple[str, ...]) -> None:
    if not _is_same_path(_true_path(descriptor), Path(os.path.realpath(root), *parts)):
        raise _link_error(root, _first_link(root, parts) or parts)


def _true_path(descriptor: int) -> str:
    """
    Return the true path of an open file, which replacing a part of its path does not change.
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


def _is_same_path(text: str, other: Path) -> bool:
    return os.path.normcase(text) == os.path.normcase(other)


def _check_folder(root: Path, parts: tuple[str, ...], *, make: int | None) -> None:
    _check_no_links(root, parts)
    path = root.joinpath(*parts)
    if make is not None:
        ensure_dir(path, make)
        _check_no_links(root, parts)
    path.stat()


def _check_no_links(root: Path, parts: tuple[str, ...]) -> None:
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
        if not _is_same_path(os.path.realpath(path), path):
            return parts[:depth]
    return None


def _link_error(root: Path, parts: tuple[str, ...]) -> OSError:
    path = root.joinpath(*parts)
    return OSError(
        errno.ELOOP,
        f"{path} is a link, and links within a library are not followed; replace it by its target",
        str(path),
    )


def _refuse(problem: str, path: Path | str) -> NoReturn:
    raise OSError(errno.EINVAL, problem, str(path))
