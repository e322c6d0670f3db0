"""
Store images in their folders: under a free name, with a digest and a sidecar.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

from imagesession._domain.image_header import SUFFIXES
from imagesession._domain.turn import ImageRecord, Turn, short_id
from imagesession._engine.http import ReceivedImage
from imagesession.errors import StorageIOError

from . import sidecar
from .atomic_write import (
    fsync_dir,
    link_into_place,
    name_exists,
    unlink_unused,
    write_atomic,
    write_temp,
)
from .layout import Layout, image_dir
from .safe_open import open_dir_within, read_within

_THREAD_MIN_BYTES = 1_000_000
_MAX_NUMBER = 9_999


def store_image(
    layout: Layout,
    turn: Turn,
    now: dt.datetime,
    received: ReceivedImage,
    image_id: str,
    *,
    recorded_files: set[str] | None = None,
) -> ImageRecord:
    """
    Write an image durably, with exactly the bytes that were received.

    Args:
        layout: The library's folders.
        turn: The image's turn.
        now: The time, in UTC.
        received: The image.
        image_id: Its id.
        recorded_files: The files that records name, if an interrupted program may have written
            the image already: a file that is not among them is reused, and added. None to write a
            new one.

    Raises:
        OSError: The image cannot be written.
        StorageIOError: There is no free name.
    """
    digest = _start_digest(received.data)
    orphan = (
        None
        if recorded_files is None
        else _find_orphan_file(layout, turn, received, recorded_files)
    )
    return ImageRecord(
        id=image_id,
        file=orphan or _write(layout, turn, now, received),
        format=received.facts.format,
        width=received.facts.width,
        height=received.facts.height,
        bytes=len(received.data),
        sha256=digest(),
        revised_prompt=received.revised_prompt,
        call_id=received.call_id,
        source=received.source,
    )


def write_sidecars(layout: Layout, turn: Turn, session_name: str | None) -> None:
    """
    Write a turn's metadata beside each of its images, as a copy for people and other programs.

    Images of a promotion keep the sidecars that they have.

    Raises:
        OSError: A sidecar cannot be written.
    """
    for position, image in enumerate(turn.images):
        if turn.kind != "promotion":
            facts = json.dumps(sidecar.to_dict(turn, position, session_name), indent=1)
            path = (layout.root / image.file).with_suffix(".json")
            with open_dir_within(layout.root, image.file.rpartition("/")[0]) as folder:
                write_atomic(path, facts.encode("ascii"), layout.tmp, folder)


def _write(layout: Layout, turn: Turn, now: dt.datetime, received: ReceivedImage) -> str:
    with (
        write_temp(received.data, layout.tmp) as unfinished,
        open_dir_within(layout.root, image_dir(turn), make=True) as folder,
    ):
        for number in range(1, _MAX_NUMBER + 1):
            file = layout.image_file(turn, now, number, received.facts.format)
            path = layout.root / file
            if _stem_in_use(path, folder):
                continue
            with contextlib.suppress(FileExistsError):
                link_into_place(unfinished, path, folder)
                if not _stem_in_use(path, folder):
                    return file
                unlink_unused(path, folder)  # another program took the stem at the same moment
    raise StorageIOError(f"{layout.root} has {_MAX_NUMBER:,} pictures of this second already.")


def _stem_in_use(path: Path, folder: int | None) -> bool:
    """
    Tell whether a name is in use with another suffix: both images would share a sidecar.
    """
    suffixes = {*SUFFIXES.values(), ".json"} - {path.suffix}
    return any(name_exists(path.with_suffix(suffix), folder) for suffix in suffixes)


def _find_orphan_file(
    layout: Layout, turn: Turn, received: ReceivedImage, recorded_files: set[str]
) -> str | None:
    """
    Find an image's file that an interrupted program wrote but did not record.
    """
    folder = image_dir(turn)
    owner = f"{folder}/session_{short_id(turn.session or turn.id)}_"
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(layout.root / folder)):  # noqa: PTH208 - names will do
            file = f"{folder}/{name}"
            matches = file.startswith(owner) and file.endswith(SUFFIXES[received.facts.format])
            if matches and file not in recorded_files and _has_content(layout, file, received.data):
                fsync_dir(layout.root / folder)
                recorded_files.add(file)
                return file
    return None


def _has_content(layout: Layout, file: str, data: bytes) -> bool:
    with contextlib.suppress(OSError):
        return read_within(layout.root, file) == data
    return False


def _start_digest(data: bytes) -> Callable[[], str]:
    """
    Start to compute a digest, in a thread if the data is large; return a function to wait for it.
    """

    def digest() -> str:
        return hashlib.sha256(data).hexdigest()

    if len(data) < _THREAD_MIN_BYTES:
        return digest
    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(digest()))
    try:
        thread.start()
    except RuntimeError:  # the interpreter is shutting down, and the image is paid for
        return digest

    def wait() -> str:
        thread.join()
        return results[0]

    return wait
