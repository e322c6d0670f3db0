"""
Copies of a bucket's images on this machine, of which those that were used last stay.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from imagesession._store.files.atomic_write import ensure_dir, translate_os_errors, write_atomic

MAX_BYTES = 1_000_000_000
"""How many bytes of copies stay, as far as one program knows; others add theirs until they look."""
_SHARE = 20
_TMP = "tmp"


class LocalCopies:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._until_sweep = 0

    def path_of(self, key: str, fetch: Callable[[], bytes]) -> str:
        path = self._file(key)
        if path.exists():
            with contextlib.suppress(OSError):  # the folder may be read-only
                os.utime(path)  # so that it counts as used
            return str(path)
        data = fetch()
        with translate_os_errors(path):
            ensure_dir(self._folder / _TMP)
            write_atomic(path, data, self._folder / _TMP)
        self._until_sweep -= len(data)
        if self._until_sweep < 0:
            self._until_sweep = MAX_BYTES // _SHARE  # looking at all files takes a while
            self._sweep(path)
        return str(path)

    def drop(self, key: str) -> None:
        with contextlib.suppress(OSError):
            self._file(key).unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self._folder / key.replace("/", "_")

    def _sweep(self, latest: Path) -> None:
        copies: list[tuple[float, int, Path]] = []
        for path in self._folder.glob("*.*"):
            with contextlib.suppress(OSError):  # another program has removed it
                status = path.stat()
                if path != latest:
                    copies.append((status.st_mtime, status.st_size, path))
        excess = sum(size for _, size, _ in copies) + latest.stat().st_size - MAX_BYTES
        for _, size, path in sorted(copies):
            if excess <= 0:
                return
            with contextlib.suppress(OSError):
                path.unlink()
                excess -= size
