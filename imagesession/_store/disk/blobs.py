"""
Images in their folders, by kind: each under a free name, with its metadata beside it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from imagesession._domain.image_header import SUFFIXES
from imagesession._domain.turn import Turn
from imagesession._engine.http import ReceivedImage
from imagesession._store.files.atomic_write import (
    check_writable,
    ensure_dir,
    fsync_dir,
    link_into_place,
    name_exists,
    translate_os_errors,
    unlink_unused,
    write_atomic,
    write_temp,
)
from imagesession._store.files.safe_open import open_dir_within, open_within, read_within
from imagesession._store.ports import Blobs
from imagesession._store.strict_reader import parse_object
from imagesession.errors import StorageIOError

from .file_names import PREFIX
from .layout import IMAGE_FOLDERS, Layout, image_dir

MIN_FREE_BYTES = 64_000_000
BYTES_PER_PENDING_IMAGE = 4_000_000
_MAX_NUMBER = 9_999


@attrs.frozen
class DiskBlobs(Blobs):
    """
    The image files of a library on disk; their keys are paths within it, with slashes.

    Attributes:
        layout: The library's folders.
    """

    layout: Layout

    def check_room(self, turns: Collection[Turn], pending: int) -> None:
        with translate_os_errors(self.layout.root):
            self._check_free_space(pending)
            for turn in {(image_dir(turn), turn.session): turn for turn in turns}.values():
                self._check_target_dirs(turn)

    def _check_free_space(self, pending: int) -> None:
        free = shutil.disk_usage(self.layout.journal).free
        # Requests that are under way need room too.
        needed = MIN_FREE_BYTES + BYTES_PER_PENDING_IMAGE * pending
        if free < needed:
            raise StorageIOError(
                f"The disk of {self.layout.root} has {free / 1e6:.0f} MB left, and at least "
                f"{needed / 1e6:.0f} MB are needed before an image is requested. Make room."
            )

    def _check_target_dirs(self, turn: Turn) -> None:
        records_folder = self.layout.turn_file(turn.session, turn.id).parent
        ensure_dir(records_folder, self.layout.folder_mode)
        check_writable(records_folder)
        pictures_folder = image_dir(turn)
        mode = self.layout.folder_mode
        with open_dir_within(self.layout.root, pictures_folder, make=mode) as folder:
            check_writable(self.layout.root / pictures_folder, folder)

    def put_new(
        self,
        turn: Turn,
        at: dt.datetime,
        image: ReceivedImage,
        recorded: Collection[str] | None = None,
    ) -> str:
        """
        Write an image durably under a free name, with exactly the bytes that were received; or
        return the file that an interrupted program wrote but did not record.
        """
        with translate_os_errors(self.layout.root):
            orphan = None
            if recorded is not None:
                orphan = self._find_orphan_file(turn, image, recorded)
            return orphan or _write(self.layout, turn, at, image)

    def _find_orphan_file(
        self, turn: Turn, received: ReceivedImage, recorded: Collection[str]
    ) -> str | None:
        """
        Find an image's file that an interrupted program wrote but did not record; such a file has
        no metadata beside it yet.
        """
        layout, folder, suffix = self.layout, image_dir(turn), SUFFIXES[received.facts.format]
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(layout.root / folder)):  # noqa: PTH208 - names will do
                file = f"{folder}/{name}"
                may_be_it = name.endswith(suffix) and layout.may_be_of(file, turn)
                if not may_be_it or file in recorded:
                    continue
                if _has_content(layout, file, received.data) and self.annotation(file) is None:
                    fsync_dir(layout.root / folder)
                    return file
        return None

    def get(self, key: str) -> bytes:
        return read_within(self.layout.root, key)

    def version(self, key: str) -> object:
        with open_within(self.layout.root, key) as descriptor:
            status = os.fstat(descriptor)
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def drop(self, key: str) -> None:
        with translate_os_errors(self.layout.root):
            (self.layout.root / key).unlink(missing_ok=True)

    def address(self, key: str) -> str:
        return str(self.layout.root / key)

    def annotate(self, key: str, metadata: Mapping[str, Any]) -> None:
        """
        Write an image's metadata into a file beside it.
        """
        path = (self.layout.root / key).with_suffix(".json")
        data = json.dumps(metadata, indent=1).encode("ascii")
        folder_name = key.rpartition("/")[0]
        with (
            contextlib.suppress(OSError),
            open_dir_within(self.layout.root, folder_name) as folder,
        ):
            write_atomic(path, data, self.layout.tmp, folder)

    def annotation(self, key: str) -> dict[str, Any] | None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            return parse_object(read_within(self.layout.root, f"{key.rpartition('.')[0]}.json"))
        return None

    def keys(self) -> Iterator[str]:
        """
        Yield the images that have such a name as this library gives, or metadata beside them.
        """
        suffixes = {*SUFFIXES.values()}
        for folder in IMAGE_FOLDERS:
            for path in sorted((self.layout.root / folder).rglob("*")):
                is_ours = path.stem.startswith(PREFIX) or self.layout.names.matches(path.stem)
                if path.suffix in suffixes and (is_ours or path.with_suffix(".json").exists()):
                    yield path.relative_to(self.layout.root).as_posix()


def _write(layout: Layout, turn: Turn, now: dt.datetime, received: ReceivedImage) -> str:
    with (
        write_temp(received.data, layout.tmp) as unfinished,
        open_dir_within(layout.root, image_dir(turn), make=layout.folder_mode) as folder,
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
    raise StorageIOError(
        f"{layout.root / image_dir(turn)} has {_MAX_NUMBER:,} images of one name already. Use "
        'another template, such as Studio(filename="{slug}_{time}_{n:02}").'
    )


def _stem_in_use(path: Path, folder: int | None) -> bool:
    """
    Tell whether a name is in use with another suffix: both images would share a sidecar.
    """
    suffixes = {*SUFFIXES.values(), ".json"} - {path.suffix}
    return any(name_exists(path.with_suffix(suffix), folder) for suffix in suffixes)


def _has_content(layout: Layout, file: str, data: bytes) -> bool:
    with contextlib.suppress(OSError):
        return read_within(layout.root, file) == data
    return False
