"""
Reading of files that calls name, only within the folders that the server's operator allowed.

A path is resolved first, and then opened one folder at a time without following links, so a link
that is created in between is not followed.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from imagesession_mcp.errors import ToolCallError

_MAX_BYTES = 25_000_000
_MAX_UPLOAD = 10_000_000
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
# A pipe is opened without waiting for a writer, and then rejected.
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_OPENS_STEPWISE = os.open in os.supports_dir_fd and bool(_NOFOLLOW)


def resolve_allowed(path_text: str, roots: tuple[Path, ...], argument: str) -> Path:
    """
    Resolve a path that a call names.

    Args:
        path_text: The path in the call.
        roots: The allowed folders.
        argument: The argument's name.

    Returns:
        The path without links, within one of the roots.

    Raises:
        ToolCallError: It is outside of the roots, or does not exist; the error does not say which.
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
        raise _not_allowed(argument, roots) from None
    if not any(real_path != root and real_path.is_relative_to(root) for root in roots):
        raise _not_allowed(argument, roots)
    return real_path


def read_allowed(real_path: Path, roots: tuple[Path, ...], argument: str) -> bytes:
    """
    Read a file at a resolved path.

    Raises:
        ToolCallError: It is not a readable regular file, is too large, or was moved.
    """
    root = next(root for root in roots if real_path.is_relative_to(root))
    try:
        with _open_regular(root, real_path) as file:
            data = _read_all(file)
    except OSError:
        raise _not_allowed(argument, roots) from None
    if len(data) > _MAX_BYTES:
        raise ToolCallError(
            "invalid_input_image",
            f"The file of {argument} has more than {_MAX_BYTES / 1e6:.0f} MB. Make it smaller.",
        )
    return data


def decode_upload(data: str) -> bytes:
    """
    Decode an image that a call contains.

    Raises:
        ToolCallError: It is not base64, or is too large.
    """
    head, comma, encoded = data.partition(",")
    if not (comma and head.startswith("data:")):
        encoded = data
    if len(encoded) > _MAX_UPLOAD * 4 // 3 + 4:
        raise ToolCallError(
            "invalid_input_image",
            f"data has more than {_MAX_UPLOAD / 1e6:.0f} MB. Make the image smaller.",
        )
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        raise ToolCallError(
            "invalid_input_image", "data is not base64. Send the bytes of the image file in it."
        ) from None


@contextmanager
def _open_regular(root: Path, real_path: Path) -> Generator[int, None, None]:
    file = _open_stepwise(root, real_path) if _OPENS_STEPWISE else _open_at_once(real_path)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError("no regular file")
        yield file
    finally:
        os.close(file)


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


def _read_all(file: int) -> bytes:
    parts: list[bytes] = []
    remaining = _MAX_BYTES + 1
    while remaining > 0 and (part := os.read(file, min(remaining, 1 << 20))):
        parts.append(part)
        remaining -= len(part)
    return b"".join(parts)


def _not_allowed(argument: str, roots: tuple[Path, ...]) -> ToolCallError:
    root_list = ", ".join(str(root) for root in roots)
    return ToolCallError(
        "invalid_input_image",
        f"{argument} names no file that this server may read. Use an image id or a file within: "
        f"{root_list}; the server's operator can allow further folders with --allow-dir.",
    )
