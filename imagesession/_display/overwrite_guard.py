"""
Galleries and contact sheets replace only earlier files of the same type.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from imagesession.errors import StorageIOError


def check_replaceable(file: Path, what: str, is_ours: Callable[[Path], bool]) -> None:
    """
    Raise unless the path is free or holds an earlier file of the same type, which `is_ours` tests
    by its content; it is never called on a link.
    """
    is_replaceable = file.is_file() and not file.is_symlink() and is_ours(file)
    if os.path.lexists(file) and not is_replaceable:
        raise StorageIOError(
            f"{file} exists and is no {what}, so it is not overwritten. "
            "Choose another name, or move it away."
        )
