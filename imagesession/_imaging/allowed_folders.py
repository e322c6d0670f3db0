"""
Reading of files that callers of a server name, only within the folders that its operator allowed.

A path is resolved first, and then opened one folder at a time without following links, so a link
that is created in between is not followed.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

import attrs

from imagesession.errors import InvalidImageError

_MAX_BYTES = 25_000_000
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
# A pipe is opened without waiting for a writer, and then rejected.
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_OPENS_STEPWISE = os.open in os.supports_dir_fd and bool(_NOFOLLOW)


@attrs.frozen
class AllowedFolders:
    """
    The folders from which a server reads images whose paths its callers name.

    Attributes:
        roots: The folders, as absolute paths without links; the caller's own is the first.
        closed: A folder of which only the first root is open, such as that of all callers' folders.
        advice: A sentence for errors that says how other folders can be allowed.
    """

    roots: tuple[Path, ...]
    closed: Path | None = None
    advice: str = ""

    def resolve(self, path: str, argument: str = "The path") -> Path:
        """
        Resolve a path that a caller names.

        Args:
            path: The path, as the caller wrote it.
            argument: What errors call it, such as the name of the caller's argument.

        Returns:
            The path without links, within one of the folders.

        Raises:
            InvalidImageError: It is outside of them, or does not exist; the error does not say
                which.
        """
        if "://" in path or not Path(path).is_absolute():
            raise InvalidImageError(
                f"{argument} takes the id of an image, or the absolute path of a file. URLs are "
                "not fetched, and ~ and relative paths are not followed."
            )
        try:
            real_path = Path(path).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            raise self._not_allowed(argument) from None
        self._root_of(real_path, argument)
        return real_path

    def read(self, real_path: Path, argument: str = "The path") -> bytes:
        """
        Read a file at a resolved path.

        Args:
            real_path: A path that `resolve` returned, or one beside it.
            argument: As for `resolve`.

        Raises:
            InvalidImageError: It is not a readable regular file, has more than 25 MB, or was moved.
        """
        root = self._root_of(real_path, argument)
        try:
            fd = _open_stepwise(root, real_path) if _OPENS_STEPWISE else _open_at_once(real_path)
            with open(fd, "rb") as file:  # noqa: PTH123 - it is open already
                is_regular = stat.S_ISREG(os.fstat(fd).st_mode)
                data = file.read(_MAX_BYTES + 1) if is_regular else None
        except OSError:
            data = None
        if data is None:
            raise self._not_allowed(argument)
        if len(data) > _MAX_BYTES:
            raise InvalidImageError(
                f"The file of {argument} has more than {_MAX_BYTES / 1e6:.0f} MB. Make it smaller."
            )
        return data

    def copy(self, real_path: Path, folder: Path, argument: str = "The path") -> Path:
        """
        Copy an image, with the metadata files beside it, to where it cannot change meanwhile.

        Args:
            real_path: A path that `resolve` returned.
            folder: A folder of the server's own.
            argument: As for `resolve`.

        Returns:
            The path of the copy.

        Raises:
            InvalidImageError: As for `read`, of the image; other files may be missing.
        """
        copy = folder / real_path.name
        copy.write_bytes(self.read(real_path, argument))
        for file in metadata_files(real_path):
            with suppress(InvalidImageError):
                copy.with_name(file.name).write_bytes(self.read(file, argument))
        return copy

    def _root_of(self, real_path: Path, argument: str) -> Path:
        is_closed = self.closed is not None and real_path.is_relative_to(self.closed)
        for root in self.roots[:1] if is_closed else self.roots:
            if root in real_path.parents:
                return root
        raise self._not_allowed(argument)

    def _not_allowed(self, argument: str) -> InvalidImageError:
        roots = ", ".join(map(str, self.roots))
        return InvalidImageError(
            f"{argument} names no file that may be read here. Use an image id or a file within: "
            f"{roots}. {self.advice}"
        )


def metadata_files(path: Path) -> tuple[Path, Path]:
    """
    Return the files that may hold an image's metadata: of this library, or of older tools.
    """
    return path.with_name(f"{path.stem}.json"), path.with_name(f"{path.stem}_metadata.json")


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


AllowedFolders.__module__ = "imagesession"
