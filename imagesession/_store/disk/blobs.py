"""
Images in their folders, by kind: each under a free name, with its metadata beside it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from imagesession._domain.image_header import SUFFIXES
from imagesession._domain.turn import ImageRecord, Turn
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
from .layout import BIN, IMAGE_FOLDERS, Layout, image_dir

MIN_FREE_BYTES = 64_000_000
BYTES_PER_PENDING_IMAGE = 4_000_000
_MAX_NUMBER = 9_999


@attrs.frozen
class DiskBlobs(Blobs):
    """
    The image files of a library on disk; their keys are paths within it, with slashes.
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
        names: list[str] = []
        with contextlib.suppress(FileNotFoundError):
            names = sorted(os.listdir(layout.root / folder))  # noqa: PTH208 - names will do
        for name in names:
            file = f"{folder}/{name}"
            may_be_it = name.endswith(suffix) and layout.may_be_of(file, turn)
            if not may_be_it or file in recorded:
                continue
            if _has_content(layout, file, received.data) and self.annotation(file) is None:
                # If this fails, the file stays for the next attempt, and no second one is written.
                fsync_dir(layout.root / folder)
                return file
        return None

    def get(self, key: str) -> bytes:
        with self.open(key) as descriptor, open(descriptor, "rb", closefd=False) as file:
            return file.read()

    def version(self, key: str) -> object:
        with self.open(key) as descriptor:
            status = os.fstat(descriptor)
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def open(self, key: str) -> contextlib.AbstractContextManager[int]:
        return open_within(self.layout.root, self._place(key))

    def drop(self, key: str) -> None:
        with translate_os_errors(self.layout.root):
            for place in (key, f"{BIN}/{key}"):
                for name in (_sidecar(place), place):
                    (self.layout.root / name).unlink(missing_ok=True)

    def set_aside(self, key: str) -> None:
        with translate_os_errors(self.layout.root / key):
            for name in (key, _sidecar(key)):
                self._move(name, f"{BIN}/{name}")

    def put_back(self, key: str) -> None:
        with translate_os_errors(self.layout.root / key):
            for name in (key, _sidecar(key)):
                self._move(f"{BIN}/{name}", name)

    def _move(self, source: str, target: str) -> None:
        root = self.layout.root
        if not name_exists(root / source):
            return
        with open_dir_within(root, target.rpartition("/")[0], make=True) as folder:
            try:
                link_into_place(root / source, root / target, folder)
            except FileExistsError as error:
                if not (root / source).samefile(root / target):  # else it was interrupted
                    raise StorageIOError(
                        f"{root / target} is taken by another file. Move that away, then try again."
                    ) from error
        (root / source).unlink(missing_ok=True)

    def find_moved(self, images: Iterable[ImageRecord]) -> dict[str, str]:
        wanted = {(image.bytes, image.sha256): image.id for image in images}
        sizes = {size for size, _ in wanted}
        found: dict[str, str] = {}
        for key, size in self._files():
            if size in sizes and (self.annotation(key) or {}).get("image_path") != key:
                with contextlib.suppress(OSError):
                    image_id = wanted.pop((size, hashlib.sha256(self.get(key)).hexdigest()), None)
                    if image_id is not None:
                        found[image_id] = key
        return found

    def _files(self) -> Iterator[tuple[str, int]]:
        for folder, folders, names in os.walk(self.layout.root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder, name)
                key = path.relative_to(self.layout.root).as_posix()
                if not set(key) & set(":\\"):  # a record cannot name it
                    with contextlib.suppress(OSError):
                        yield key, path.lstat().st_size

    def address(self, key: str) -> str:
        return str(self.layout.root / self._place(key))

    def _place(self, key: str) -> str:
        aside = f"{BIN}/{key}"
        is_aside = not name_exists(self.layout.root / key) and name_exists(self.layout.root / aside)
        return aside if is_aside else key

    def local_file(self, key: str) -> str:
        return self.address(key)

    def url(self, key: str, seconds: float) -> str:  # noqa: ARG002 - a path has no end
        return (self.layout.root / key).as_uri()

    def annotate(self, key: str, metadata: Mapping[str, Any]) -> None:
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
            return parse_object(read_within(self.layout.root, _sidecar(key)))
        return None

    def keys(self) -> Iterator[str]:
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
            if _stem_in_use(layout, path, folder):
                continue
            with contextlib.suppress(FileExistsError):
                link_into_place(unfinished, path, folder)
                if not _stem_in_use(layout, path, folder):
                    return file
                unlink_unused(path, folder)  # another program took the stem at the same moment
    raise StorageIOError(
        f"{layout.root / image_dir(turn)} has {_MAX_NUMBER:,} images of one name already. Use "
        'another template, such as Studio(filename="{slug}_{time}_{n:02}").'
    )


def _stem_in_use(layout: Layout, path: Path, folder: int | None) -> bool:
    """
    Tell whether a name is in use with another suffix, as both images would share a sidecar, or by
    an image in the bin.
    """
    suffixes = {*SUFFIXES.values(), ".json"} - {path.suffix}
    if any(name_exists(path.with_suffix(suffix), folder) for suffix in suffixes):
        return True
    # Otherwise a deleted image that had the name could not be restored.
    aside = layout.root / BIN / path.relative_to(layout.root)
    return any(name_exists(aside.with_suffix(suffix)) for suffix in SUFFIXES.values())


def _sidecar(key: str) -> str:
    return f"{key.rpartition('.')[0]}.json"


def _has_content(layout: Layout, file: str, data: bytes) -> bool:
    with contextlib.suppress(OSError):
        return read_within(layout.root, file) == data
    return False
