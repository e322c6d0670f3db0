"""
Files that calls name are read only beneath the folders that the person allowed.

A path is resolved first, and then opened one folder at a time without following links, so that a
link that is created in between leads nowhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from imagesession_mcp.errors import ToolCallError

_MAX_BYTES = 25_000_000
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# A pipe is opened without waiting for a writer, and then refused.
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_STEPWISE = os.open in os.supports_dir_fd and bool(_NO_LINK)


def resolve_allowed(named: str, roots: tuple[Path, ...], argument: str) -> Path:
    """
    Resolve a path that a call names.

    Args:
        named: The path, as it is in the call.
        roots: The folders beneath which it may lead.
        argument: The argument that says it.

    Returns:
        The path without links, beneath one of the roots.

    Raises:
        ToolCallError: It leads elsewhere, or nowhere; the error does not say which.
    """
    path = Path(named)
    if "://" in named or not path.is_absolute():
        raise ToolCallError(
            "invalid_input_image",
            f"{argument} takes the id of a picture, or the absolute path of a file. URLs are not "
            "fetched, and ~ and relative paths are not followed.",
        )
    try:
        real = path.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise _outside(argument, roots) from None
    if not any(real != root and real.is_relative_to(root) for root in roots):
        raise _outside(argument, roots)
    return real


def read_allowed(real: Path, roots: tuple[Path, ...], argument: str) -> bytes:
    """
    Read a file whose path was resolved.

    Raises:
        ToolCallError: It is no file that can be read, or too large, or was moved away since.
    """
    root = next(root for root in roots if real.is_relative_to(root))
    try:
        with _open_regular(root, real) as file:
            data = _read_all(file)
    except OSError:
        raise _outside(argument, roots) from None
    if len(data) > _MAX_BYTES:
        raise ToolCallError(
            "invalid_input_image",
            f"The file of {argument} has more than {_MAX_BYTES / 1e6:.0f} MB. Make it smaller.",
        )
    return data


@contextmanager
def _open_regular(root: Path, real: Path) -> Generator[int, None, None]:
    file = _open_stepwise(root, real) if _STEPWISE else _open_at_once(real)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError("no regular file")
        yield file
    finally:
        os.close(file)


def _open_stepwise(root: Path, real: Path) -> int:
    here = os.open(root, _FLAGS | os.O_DIRECTORY | _NO_LINK)
    *folders, name = real.relative_to(root).parts
    try:
        for folder in folders:
            inner = os.open(folder, _FLAGS | os.O_DIRECTORY | _NO_LINK, dir_fd=here)
            os.close(here)
            here = inner
        return os.open(name, _FLAGS | _NO_LINK | _NO_WAIT, dir_fd=here)
    finally:
        os.close(here)


def _open_at_once(real: Path) -> int:
    file = os.open(real, _FLAGS)
    # Where folders cannot be opened, what was opened must still be where the path leads.
    if real.resolve() != real or not os.path.samestat(real.lstat(), os.fstat(file)):
        os.close(file)
        raise OSError("moved away")
    return file


def _read_all(file: int) -> bytes:
    parts: list[bytes] = []
    left = _MAX_BYTES + 1
    while left > 0 and (part := os.read(file, min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _outside(argument: str, roots: tuple[Path, ...]) -> ToolCallError:
    listed = ", ".join(str(root) for root in roots)
    return ToolCallError(
        "invalid_input_image",
        f"{argument} names no file that this server may read. It reads pictures by id, and files "
        f"beneath: {listed}. Whoever runs it allows further folders with --allow-dir.",
    )
