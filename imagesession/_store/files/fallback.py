"""
Keep paid images that the library cannot store: in the system's temporary folder, or in memory.
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

from .atomic_write import create_durable, translate_os_errors


def save_to_fallback(
    turn: Turn, images: Iterable[ReceivedImage], error: StorageError
) -> StorageIOError:
    """
    Save images outside of the library, unchanged; return the error to raise, which says why, and
    where they are.
    """
    files = [
        (f"{turn.id}_{number:02}{SUFFIXES[image.facts.format]}", image.data)
        for number, image in enumerate(images, 1)
    ]
    advice = (
        "Once the library can be written, recover() fetches them from the provider again, which "
        "is free."
        if turn.response_id
        else "Once the library can be written, import them with images.import_file()."
    )
    try:
        paths = write_temp_copies(files)
    except OSError as problem:
        return StorageIOError(
            f"{error.message} The paid images could not be saved elsewhere either "
            f"({problem.strerror}): they are in this error's `unsaved`. {advice}",
            unsaved=tuple(data for _, data in files),
        )
    return StorageIOError(
        f"{error.message} The paid images are kept in {', '.join(paths)} meanwhile. {advice}",
        kept=paths,
    )


def write_temp_copies(files: Iterable[tuple[str, bytes]]) -> tuple[str, ...]:
    """
    Write files durably into a new private folder within the system's temporary folder; return their
    paths.
    """
    folder = Path(tempfile.mkdtemp(prefix="imagesession-"))
    try:
        for name, data in files:
            create_durable(folder / name, data, folder)
    except OSError:
        _remove(folder)
        raise
    return tuple(str(folder / name) for name in sorted(os.listdir(folder)))  # noqa: PTH208 - names will do


def save_reply(name: str, data: bytes, instead_of: str) -> str:
    with translate_os_errors(Path(instead_of)):
        return write_temp_copies([(name, data)])[0]


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
