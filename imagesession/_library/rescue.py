"""
Keep what was paid for where the library cannot: beside other programs' temporary files, or else
in memory.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from imagesession._model.pictures import SUFFIXES
from imagesession._model.turns import Turn
from imagesession._plan.wire import Received
from imagesession.errors import DiskError, LibraryError

from .durable import write_new


def rescue(turn: Turn, pictures: Iterable[Received], error: LibraryError) -> DiskError:
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
        (f"{turn.id}_{number:02}{SUFFIXES[one.facts.format]}", one.data)
        for number, one in enumerate(pictures, 1)
    ]
    later = (
        "Once the library can be written, recover() fetches it from the provider again, which "
        "costs nothing."
        if turn.response_id
        else "Once the library can be written, images.import_file() brings it in."
    )
    try:
        kept = elsewhere(named)
    except OSError as problem:
        return DiskError(
            f"{error.message} Nor could what was paid for be put elsewhere ({problem.strerror}): "
            f"it is in this error's `unsaved`. {later}",
            unsaved=tuple(data for _, data in named),
        )
    return DiskError(
        f"{error.message} What was paid for is kept in {', '.join(kept)} meanwhile. {later}",
        kept=kept,
    )


def elsewhere(named: Iterable[tuple[str, bytes]]) -> tuple[str, ...]:
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
            write_new(folder / name, data, folder)
    except OSError:
        _remove(folder)
        raise
    return tuple(str(folder / name) for name in sorted(os.listdir(folder)))  # noqa: PTH208 - names will do


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
