"""
Keep what was paid for where the library cannot: beside other programs' temporary files, or else
in memory.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from imagesession._domain.image_header import SUFFIXES
from imagesession._domain.turn import Turn
from imagesession._engine.http import ReceivedImage
from imagesession.errors import StorageError, StorageIOError

from .atomic_write import create_durable


def save_to_fallback(
    turn: Turn, pictures: Iterable[ReceivedImage], error: StorageError
) -> StorageIOError:
    """
    Put pictures elsewhere, as they came.

    Args:
        turn: What they were made for.
        pictures: What the library could not keep.
        error: Why it could not.

    Returns:
        What to raise: why, and where the pictures are now.
    """
    named = [
        (f"{turn.id}_{number:02}{SUFFIXES[image.facts.format]}", image.data)
        for number, image in enumerate(pictures, 1)
    ]
    later = (
        "Once the library can be written, recover() fetches it from the provider again, which "
        "costs nothing."
        if turn.response_id
        else "Once the library can be written, images.import_file() brings it in."
    )
    try:
        kept = write_temp_copies(named)
    except OSError as problem:
        return StorageIOError(
            f"{error.message} Nor could what was paid for be put elsewhere ({problem.strerror}): "
            f"it is in this error's `unsaved`. {later}",
            unsaved=tuple(data for _, data in named),
        )
    return StorageIOError(
        f"{error.message} What was paid for is kept in {', '.join(kept)} meanwhile. {later}",
        kept=kept,
    )


def write_temp_copies(named: Iterable[tuple[str, bytes]]) -> tuple[str, ...]:
    """
    Write files durably into a new folder for this user alone, where temporary files belong.

    Returns:
        Their paths.

    Raises:
        OSError: They cannot be written there either.
    """
    folder = Path(tempfile.mkdtemp(prefix="imagesession-"))
    try:
        for name, data in named:
            create_durable(folder / name, data, folder)
    except OSError:
        _remove(folder)
        raise
    return tuple(str(folder / name) for name in sorted(os.listdir(folder)))  # noqa: PTH208 - names will do


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
