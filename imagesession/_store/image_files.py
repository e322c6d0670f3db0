"""
Put pictures into their folders: under a free name, with a digest, and with their metadata beside.
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

_WORTH_A_THREAD = 1_000_000
_MAX_NUMBER = 9_999


def store_image(
    layout: Layout,
    turn: Turn,
    now: dt.datetime,
    picture: ReceivedImage,
    image_id: str,
    *,
    named: set[str] | None = None,
) -> ImageRecord:
    """
    Write a picture durably; the file's bytes are those that were received.

    Args:
        layout: Where things lie.
        turn: What it was made for.
        now: The time, in UTC.
        picture: The picture.
        image_id: Its id.
        named: Where a program that was stopped may have put it there already: the files that
            records name. The one that is used is added.

    Raises:
        OSError: It cannot be written.
        StorageIOError: There is no free name.
    """
    digest = _digesting(picture.data)
    left = None if named is None else _find_orphan_file(layout, turn, picture, named)
    return ImageRecord(
        id=image_id,
        file=left or _write(layout, turn, now, picture),
        format=picture.facts.format,
        width=picture.facts.width,
        height=picture.facts.height,
        bytes=len(picture.data),
        sha256=digest(),
        revised_prompt=picture.revised_prompt,
        call_id=picture.call_id,
        source=picture.source,
    )


def write_sidecars(layout: Layout, turn: Turn, session_name: str | None) -> None:
    """
    Put a turn's facts beside each of its pictures, for people and other programs; a copy.

    A picture that was there before keeps what lies beside it.

    Raises:
        OSError: They cannot be written.
    """
    for position, image in enumerate(turn.images):
        if turn.kind != "promotion":
            facts = json.dumps(sidecar.to_dict(turn, position, session_name), indent=1)
            path = (layout.root / image.file).with_suffix(".json")
            with open_dir_within(layout.root, image.file.rpartition("/")[0]) as folder:
                write_atomic(path, facts.encode("ascii"), layout.tmp, folder)


def _write(layout: Layout, turn: Turn, now: dt.datetime, picture: ReceivedImage) -> str:
    with (
        write_temp(picture.data, layout.tmp) as unfinished,
        open_dir_within(layout.root, image_dir(turn), make=True) as folder,
    ):
        for number in range(1, _MAX_NUMBER + 1):
            file = layout.image_file(turn, now, number, picture.facts.format)
            path = layout.root / file
            if _stem_in_use(path, folder):
                continue
            with contextlib.suppress(FileExistsError):
                link_into_place(unfinished, path, folder)
                if not _stem_in_use(path, folder):
                    return file
                unlink_unused(path, folder)  # somebody else came at the same moment
    raise StorageIOError(f"{layout.root} has {_MAX_NUMBER:,} pictures of this second already.")


def _stem_in_use(path: Path, folder: int | None) -> bool:
    """
    Tell whether a name is in use with another suffix: both would have the same metadata.
    """
    suffixes = {*SUFFIXES.values(), ".json"} - {path.suffix}
    return any(name_exists(path.with_suffix(suffix), folder) for suffix in suffixes)


def _find_orphan_file(
    layout: Layout, turn: Turn, picture: ReceivedImage, named: set[str]
) -> str | None:
    """
    Find the file of a picture that was put there by a program that did not get further.
    """
    folder = image_dir(turn)
    owner = f"{folder}/session_{short_id(turn.session or turn.id)}_"
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(layout.root / folder)):  # noqa: PTH208 - names will do
            file = f"{folder}/{name}"
            ours = file.startswith(owner) and file.endswith(SUFFIXES[picture.facts.format])
            if ours and file not in named and _has_content(layout, file, picture.data):
                fsync_dir(layout.root / folder)
                named.add(file)
                return file
    return None


def _has_content(layout: Layout, file: str, data: bytes) -> bool:
    with contextlib.suppress(OSError):
        return read_within(layout.root, file) == data
    return False


def _digesting(data: bytes) -> Callable[[], str]:
    """
    Begin to make a digest, a large one in a thread while the disk works; return what waits for it.
    """

    def digest() -> str:
        return hashlib.sha256(data).hexdigest()

    if len(data) < _WORTH_A_THREAD:
        return digest
    made: list[str] = []
    thread = threading.Thread(target=lambda: made.append(digest()))
    try:
        thread.start()
    except RuntimeError:  # the interpreter is on its way out, and the picture is paid for
        return digest

    def wait() -> str:
        thread.join()
        return made[0]

    return wait
