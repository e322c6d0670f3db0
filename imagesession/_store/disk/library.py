"""
A library in a folder: opened, or made if it is missing, and upgraded from older formats.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from imagesession._domain.health import HealthCheck
from imagesession._domain.reports import PendingRequest
from imagesession._domain.wording import quote
from imagesession._store.files.atomic_write import (
    create_durable,
    ensure_dir,
    remove_stale_temps,
    replace_durable,
    translate_os_errors,
)
from imagesession._store.files.modes import PRIVATE_FILE, PUBLIC_FILE, folder_mode
from imagesession._store.files.paths import resolve_path
from imagesession._store.library import LibraryStore
from imagesession._store.strict_reader import parse_object
from imagesession.errors import (
    CorruptRecordError,
    InvalidRequestError,
    StorageError,
    StorageIOError,
    UnsupportedFormatVersionError,
)

from .blobs import DiskBlobs
from .facts import DiskFacts
from .file_names import DEFAULT_FILENAME, FileNames
from .index import DiskIndex
from .layout import IMAGE_FOLDERS, Layout
from .locks import try_lock
from .rights import DiskRights

LAYOUT_VERSION = 2


def open_library(
    root: Path,
    *,
    filename: str = DEFAULT_FILENAME,
    embed_metadata: bool = False,
    mode: int | None = None,
) -> LibraryStore:
    """
    Open the library in a folder, which is created if it is missing.
    """
    store = LibraryStore(DiskLibrary(root, filename, mode))
    store.state.embeds_metadata = bool(embed_metadata)
    return store


class DiskLibrary:
    """
    The ports of a library in a folder, which is created if it is missing. Files that are written
    get `mode`: None for what the library has, or 0o600.
    """

    def __init__(
        self, root: Path, filename: str = DEFAULT_FILENAME, mode: int | None = None
    ) -> None:
        self.layout = Layout(resolve_path(root), FileNames(filename))
        _check_mode(mode)
        self.index = DiskIndex(self.layout)
        self.facts = DiskFacts(self.layout, self.index)
        self.rights = DiskRights(self.layout)
        self.blobs = DiskBlobs(self.layout)
        with translate_os_errors(self.layout.root):
            version = _check_format(self.layout)
            if version == 1:
                _upgrade_folders(self.layout)
            folders = self.layout.folder_mode if mode is None else folder_mode(mode)
            if mode is not None:
                _share(self.layout, mode)
            for folder in self.layout.folders():
                with contextlib.nullcontext() if version is None else contextlib.suppress(OSError):
                    ensure_dir(folder, folders)  # what an old one lacks is found when needed
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

    def drop_queues(self, owner: str) -> None:
        """
        Do nothing: a library in a folder has no queues.
        """

    def close(self) -> None:
        self.rights.close()


def _check_mode(mode: object) -> None:
    """
    Refuse a mode that shuts out its owner, or makes images programs.
    """
    allowed = PRIVATE_FILE | PUBLIC_FILE
    is_mode = type(mode) is int and mode & PRIVATE_FILE == PRIVATE_FILE and not mode & ~allowed
    if mode is not None and not is_mode:
        raise InvalidRequestError(
            f"mode={quote(mode)} is not who may read and write the files. Write 0o600 (you alone), "
            "0o640 (your group reads), 0o660 (your group writes) or 0o644 (everybody reads)."
        )


def _share(layout: Layout, mode: int) -> None:
    """
    Give everything in a library another mode, if it has one. The folder of records, whose mode is
    the library's, comes last.
    """
    if not layout.inner.is_dir() or layout.folder_mode == folder_mode(mode):
        return
    for top in (*(layout.root / name for name in IMAGE_FOLDERS), layout.inner):
        for folder, _, files in os.walk(top, topdown=False):
            for file in files:
                _change_mode(Path(folder, file), mode)
            _change_mode(Path(folder), folder_mode(mode))
    _change_mode(layout.root, folder_mode(mode))


def _change_mode(path: Path, mode: int) -> None:
    with contextlib.suppress(OSError):  # another user's, or gone meanwhile
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o7000 | mode)


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
