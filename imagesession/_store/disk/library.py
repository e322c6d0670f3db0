"""
A library in a folder: opened, or made if it is missing, and upgraded from older formats.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from imagesession._domain.health import HealthCheck
from imagesession._domain.reports import PendingRequest
from imagesession._domain.wording import show_path
from imagesession._store.files.atomic_write import (
    create_durable,
    ensure_dir,
    remove_stale_temps,
    replace_durable,
    translate_os_errors,
)
from imagesession._store.library import LibraryStore
from imagesession._store.strict_reader import parse_object
from imagesession.errors import (
    CorruptRecordError,
    StorageError,
    StorageIOError,
    UnsupportedFormatVersionError,
)

from .blobs import DiskBlobs
from .facts import DiskFacts
from .file_names import DEFAULT_FILENAME, FileNames
from .index import DiskIndex
from .layout import Layout
from .locks import try_lock
from .rights import DiskRights

LAYOUT_VERSION = 2


def open_library(
    root: Path, *, filename: str = DEFAULT_FILENAME, embed_metadata: bool = False
) -> LibraryStore:
    """
    Open the library in a folder, which is created if it is missing.

    Args:
        root: The folder.
        filename: The template of images' names.
        embed_metadata: Whether prompt and parameters are written into the files of images.

    Raises:
        InvalidRequestError: An argument is not valid.
        StorageIOError: The folder cannot be used.
        UnsupportedFormatVersionError: A newer imagesession wrote it.
    """
    store = LibraryStore(DiskLibrary(root, filename))
    store.embeds_metadata = bool(embed_metadata)
    return store


class DiskLibrary:
    """
    The ports of a library in a folder.

    Args:
        root: The folder; created if it is missing.
        filename: The template of images' names.

    Attributes:
        layout: Its folders.
        facts: Its records.
        rights: Who works on what.
        blobs: Its images.
        index: Its index.

    Raises:
        StorageIOError: The folder cannot be used.
        UnsupportedFormatVersionError: A newer imagesession wrote it.
    """

    def __init__(self, root: Path, filename: str = DEFAULT_FILENAME) -> None:
        self.layout = Layout(_expand(root), FileNames(filename))
        self.index = DiskIndex(self.layout)
        self.facts = DiskFacts(self.layout, self.index)
        self.rights = DiskRights(self.layout)
        self.blobs = DiskBlobs(self.layout)
        with translate_os_errors(self.layout.root):
            version = _check_format(self.layout)
            if version == 1:
                _upgrade_folders(self.layout)
            for folder in self.layout.folders():
                with contextlib.nullcontext() if version is None else contextlib.suppress(OSError):
                    ensure_dir(folder)  # what an old library lacks is found when it is needed
            _mark_format(self.layout, version)
            remove_stale_temps(self.layout.tmp)
            self.facts.remove_stale()

    @property
    def address(self) -> str:
        return str(self.layout.root)

    def check_health(
        self, pending: Callable[[], tuple[PendingRequest, ...]], *, verify: bool
    ) -> tuple[HealthCheck, ...]:
        from . import health  # noqa: PLC0415 - slow to import, and hardly ever needed

        with contextlib.suppress(StorageError, OSError):  # the checks report the cause
            self.index.refresh(max_pending=0)
            self.index.count_sessions()  # indexes missing sessions
        return health.run_checks(self.layout, self.index, pending, verify=verify)

    def close(self) -> None:
        self.rights.close()


def _expand(root: Path) -> Path:
    """
    Return a path in full: where the program's working directory leads to now.
    """
    try:
        return root.expanduser().absolute()
    except (RuntimeError, OSError) as error:  # no home, or the working directory is gone
        raise StorageIOError(
            f"The library cannot use {show_path(root)}: {error}. Write the path in full."
        ) from error


def _check_format(layout: Layout) -> int | None:
    """
    Return the oldest format that can read the library; None if there is no library yet.
    """
    try:
        text = layout.format.read_bytes()
    except FileNotFoundError:
        return None
    try:
        version = int(parse_object(text)["min_reader"])
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        raise CorruptRecordError(
            f"{layout.format} is damaged. If this is a library of imagesession, write "
            f'{{"format": {LAYOUT_VERSION}, "min_reader": {LAYOUT_VERSION}}} into it.'
        ) from error
    if version > LAYOUT_VERSION:
        raise UnsupportedFormatVersionError(
            f"The library {layout.root} was written by a newer imagesession (format "
            f"{version}; this one reads {LAYOUT_VERSION}). Update: pip install -U imagesession."
        )
    return version


def _mark_format(layout: Layout, version: int | None) -> None:
    mark = json.dumps({"format": LAYOUT_VERSION, "min_reader": LAYOUT_VERSION}).encode()
    if version == 1:
        replace_durable(layout.format, mark, layout.tmp)
    elif version is None:
        with contextlib.suppress(FileExistsError):
            create_durable(layout.format, mark, layout.tmp)


def _upgrade_folders(layout: Layout) -> None:
    """
    Keep the quarantined replies, and drop locks and limits, which are disposable.

    Raises:
        OSError: A folder cannot be moved.
        StorageIOError: A program of release 0.1.0 has the library open. It would be taken for dead,
            as it does not see the locks of today.
    """
    if any(_is_held(file) for file in (layout.inner / "owners").glob("*")):
        raise StorageIOError(
            f"A program with an older imagesession has the library {layout.root} open. Close it, "
            "then open the library again to upgrade it."
        )
    ensure_dir(layout.quarantine)
    for file in (layout.inner / "spill").glob("*"):
        file.replace(layout.quarantine / file.name)
    shutil.rmtree(layout.inner / "spill", ignore_errors=True)
    for name in ("owners", "pace"):
        shutil.rmtree(layout.inner / name, ignore_errors=True)


def _is_held(file: Path) -> bool:
    with file.open("r+b") as lock:
        return try_lock(lock.fileno()) is False
