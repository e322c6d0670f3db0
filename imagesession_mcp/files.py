"""
Files that calls name: read only beneath the folders that the person allowed.

Where a path leads is found out first, and then it is opened one folder at a time, without following
any link on the way: so nobody can put a link there in between.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from imagesession_mcp.errors import RefusedCallError

_MOST_BYTES = 25_000_000
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# A pipe is opened without waiting for somebody to write into it, and then refused.
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_STEPWISE = os.open in os.supports_dir_fd and bool(_NO_LINK)


def locate(named: str, roots: tuple[Path, ...], what: str) -> Path:
    """
    Find out where a path really leads.

    Args:
        named: The path, as it is in the call.
        roots: The folders beneath which it may lead.
        what: The argument that it came in.

    Returns:
        The path without links, beneath one of the roots.

    Raises:
        RefusedCallError: It leads elsewhere, or nowhere; which of the two is not told.
    """
    path = Path(named)
    if "://" in named or not path.is_absolute():
        raise RefusedCallError(
            "invalid_input_image",
            f"{what} takes the id of a picture, or the absolute path of a file. URLs are not "
            "fetched, and ~ and relative paths are not followed.",
        )
    try:
        real = path.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise _outside(what, roots) from None
    if not any(real != root and real.is_relative_to(root) for root in roots):
        raise _outside(what, roots)
    return real


def read(real: Path, roots: tuple[Path, ...], what: str) -> bytes:
    """
    Read the file to which a path really leads.

    Args:
        real: The path, as `locate` found it.
        roots: The folders beneath which it may be.
        what: The argument that it came in.

    Raises:
        RefusedCallError: It is no file that can be read, or too large, or was moved away since.
    """
    root = next(root for root in roots if real.is_relative_to(root))
    try:
        with _opened(root, real) as file:
            data = _all_of(file)
    except OSError:
        raise _outside(what, roots) from None
    if len(data) > _MOST_BYTES:
        raise RefusedCallError(
            "invalid_input_image",
            f"The file of {what} has more than {_MOST_BYTES / 1e6:.0f} MB. Make it smaller.",
        )
    return data


@contextmanager
def _opened(root: Path, real: Path) -> Generator[int, None, None]:
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


def _all_of(file: int) -> bytes:
    parts: list[bytes] = []
    left = _MOST_BYTES + 1
    while left > 0 and (part := os.read(file, min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _outside(what: str, roots: tuple[Path, ...]) -> RefusedCallError:
    listed = ", ".join(str(root) for root in roots)
    return RefusedCallError(
        "invalid_input_image",
        f"{what} names no file that this server may read. It reads pictures by id, and files "
        f"beneath: {listed}. Whoever runs it allows further folders with --allow-dir.",
    )
