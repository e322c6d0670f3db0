"""
What is written for eyes takes the place of what was written there before, and of nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from imagesession.errors import StorageIOError


def check_replaceable(file: Path, what: str, is_ours: Callable[[Path], bool]) -> None:
    """
    Refuse to write over anything but an earlier file of ours.

    Args:
        file: Where something is to be written.
        what: What that is, such as "gallery".
        is_ours: Tells by its content whether a file is an earlier one; it is asked of no link.

    Raises:
        StorageIOError: Something else is there.
    """
    if not os.path.lexists(file):
        return
    if file.is_file() and not file.is_symlink() and is_ours(file):
        return
    raise StorageIOError(
        f"There is something at {file} already that is no {what}, and it is not overwritten. "
        "Choose another name, or move it away."
    )
