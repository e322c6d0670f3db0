"""
Reading of files that calls name, only within the folders that the server's operator allowed.

A path is resolved first, and then opened one folder at a time without following links, so a link
that is created in between is not followed.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import attrs

from imagesession_mcp.errors import ToolCallError

_MAX_BYTES = 25_000_000
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
# A pipe is opened without waiting for a writer, and then rejected.
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_OPENS_STEPWISE = os.open in os.supports_dir_fd and bool(_NOFOLLOW)


@attrs.frozen
class AllowedFolders:
    """
    The folders from which a caller's files may be read.

    Attributes:
        roots: The folders, without links; the caller's own library is the first.
        closed: A folder of which only the first root is open, such as that of all libraries.
    """

    roots: tuple[Path, ...]
    closed: Path | None = None

    def root_of(self, real_path: Path) -> Path | None:
        """
        Return the folder in which a file may be read; None if it may not.
        """
        inside = [root for root in self.roots if root in real_path.parents]
        is_closed = self.closed is not None and real_path.is_relative_to(self.closed)
        allowed = [root for root in inside if root == self.roots[0] or not is_closed]
        return allowed[0] if allowed else None


def resolve_allowed(path_text: str, folders: AllowedFolders, argument: str) -> Path:
    """
    Resolve a path that an argument names.

    Returns:
        The path without links, within one of the folders.

    Raises:
        ToolCallError: It is outside of them, or does not exist; the error does not say which.
    """
    path = Path(path_text)
    if "://" in path_text or not path.is_absolute():
        raise ToolCallError(
            "invalid_input_image",
            f"{argument} takes the id of a picture, or the absolute path of a file. URLs are not "
            "fetched, and ~ and relative paths are not followed.",
        )
    try:
        real_path = path.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise _not_allowed(argument, folders) from None
    if folders.root_of(real_path) is None:
        raise _not_allowed(argument, folders)
    return real_path


def read_allowed(real_path: Path, folders: AllowedFolders, argument: str) -> bytes:
    """
    Read a file at a resolved path.

    Raises:
        ToolCallError: It is not a readable regular file, is too large, or was moved.
    """
    root = folders.root_of(real_path)
    if root is None:
        raise _not_allowed(argument, folders)
    try:
        fd = _open_stepwise(root, real_path) if _OPENS_STEPWISE else _open_at_once(real_path)
        with open(fd, "rb") as file:  # noqa: PTH123 - it is open already
            is_regular = stat.S_ISREG(os.fstat(fd).st_mode)
            data = file.read(_MAX_BYTES + 1) if is_regular else None
    except OSError:
        data = None
    if data is None:
        raise _not_allowed(argument, folders)
    if len(data) > _MAX_BYTES:
        raise ToolCallError(
            "invalid_input_image",
            f"The file of {argument} has more than {_MAX_BYTES / 1e6:.0f} MB. Make it smaller.",
        )
    return data


def _open_stepwise(root: Path, real_path: Path) -> int:
    folder_fd = os.open(root, _FLAGS | os.O_DIRECTORY | _NOFOLLOW)
    *folders, name = real_path.relative_to(root).parts
    try:
        for folder in folders:
            inner_fd = os.open(folder, _FLAGS | os.O_DIRECTORY | _NOFOLLOW, dir_fd=folder_fd)
            os.close(folder_fd)
            folder_fd = inner_fd
        return os.open(name, _FLAGS | _NOFOLLOW | _NONBLOCK, dir_fd=folder_fd)
    finally:
        os.close(folder_fd)


def _open_at_once(real_path: Path) -> int:
    file = os.open(real_path, _FLAGS)
    # Where folders cannot be opened, check that the open file is still the one at the path.
    if real_path.resolve() != real_path or not os.path.samestat(real_path.lstat(), os.fstat(file)):
        os.close(file)
        raise OSError("moved away")
    return file


def _not_allowed(argument: str, folders: AllowedFolders) -> ToolCallError:
    root_list = ", ".join(str(root) for root in folders.roots)
    return ToolCallError(
        "invalid_input_image",
        f"{argument} names no file that this server may read. Use an image id or a file within: "
        f"{root_list}; the server's operator can allow further folders with --allow-dir.",
    )
