"""
The base of the store: a library's folders, journal, index and records.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs

from imagesession._domain.turn import ImageRecord, Turn
from imagesession._domain.wording import show_path
from imagesession.errors import (
    CorruptRecordError,
    StorageError,
    StorageIOError,
    UnsupportedFormatVersionError,
)

from . import codec
from .atomic_write import (
    create_durable,
    ensure_dir,
    remove_stale_temps,
    replace_durable,
    translate_os_errors,
)
from .format_1 import upgrade_folders
from .ids import UlidFactory
from .index import Index
from .journal import Entry, Journal
from .layout import STANDALONE, Layout
from .process_locks import ProcessRegistry
from .session_index import SessionIndex

LAYOUT_VERSION = 2
MAX_PENDING_IN_LOOKUPS = 16


class StoreBase:
    """
    A library's folder: opened, or created if it is missing.

    Args:
        root: The folder.

    Raises:
        StorageIOError: The folder cannot be used.
        UnsupportedFormatVersionError: A newer imagesession wrote it.
    """

    def __init__(self, root: Path) -> None:
        self.layout = Layout(_expand(root))
        self._ids = UlidFactory()
        self._journal = Journal(self.layout)
        self._index = Index(self.layout.index, self._scan)
        self._session_index = SessionIndex(self._index, self.layout.sessions)
        self._processes = ProcessRegistry(self.layout.locks)
        self._leases: dict[str, object] = {}
        self._taken_over: set[str] = set()
        self._unwritten_response_ids: dict[str, str] = {}
        self._orphans_listed = False
        self._accepted_by: set[str] = set()
        self._received_at: dict[str, dt.datetime] = {}
        self._staging: set[str] = set()
        self._staged: dict[str, tuple[ImageRecord, ...]] = {}
        self._conversation_heads: dict[str, str] = {}
        self._turns: dict[str, dict[str, Turn]] = {}
        self._lock = threading.Lock()
        self._unindexed = 0
        self._recently_settled: dict[str, Turn] = {}
        with translate_os_errors(self.layout.root):
            version = _check_format(self.layout)
            if version == 1:
                upgrade_folders(self.layout)
            for folder in self.layout.folders():
                ensure_dir(folder)
            _mark_format(self.layout, version)
            remove_stale_temps(self.layout.tmp)

    def _read_turn(self, session_id: str | None, turn_id: str) -> Turn:
        file = self.layout.turn_file(session_id, turn_id)
        with translate_os_errors(file):
            return codec.read_turn(file.read_bytes(), str(file))

    def _referenced_files(self, session_id: str | None) -> set[str]:
        """
        Return the files that a session's records name. For a standalone image there are none: its
        file's name contains its own id.
        """
        files: set[str] = set()
        for file in (self.layout.turns / session_id).glob("*.json") if session_id else ():
            with contextlib.suppress(StorageError):
                turn = codec.read_turn(file.read_bytes(), str(file))
                files.update(image.file for image in turn.images)
        return files

    def _refresh_index(self, *, max_pending: int = MAX_PENDING_IN_LOOKUPS) -> tuple[Turn, ...]:
        """
        Index the turns that any process has settled since.

        Their intents stay in the journal until then. So settling a turn need not wait for the
        index to be flushed, and nothing is lost if a process dies in between.

        Args:
            max_pending: Up to this many turns may stay unindexed, so that lookups need not wait.

        Returns:
            The settled turns that were not indexed; lookups have to include them.
        """
        entries = self._journal.entries()
        settled = [turn for turn in map(self._settled_turn_of, entries) if turn is not None]
        if 0 < len(settled) <= max_pending:
            return tuple(settled)
        self._unindexed = 0
        self._recently_settled.clear()
        if settled:
            self._index.add(settled)
        for turn in settled:
            self._journal.remove(turn.id, turn.session)
        return ()

    def _settled_turn_of(self, entry: Entry) -> Turn | None:
        # Cached: beside busy threads, each file that is read costs a wait for the GIL.
        turn = self._recently_settled.get(entry.turn_id)
        if turn is None and self.layout.turn_file(entry.session_id, entry.turn_id).exists():
            # A damaged record stays; reading its session reports the damage.
            with contextlib.suppress(StorageError):
                return self._read_turn(entry.session_id, entry.turn_id)
        return turn

    def _scan(self) -> Iterator[Turn]:
        """
        Read all turns from the records. Damaged records are skipped: their images are still in
        their folders, and reading the session reports the damage.
        """
        for folder in sorted(self.layout.turns.iterdir()):
            session = None if folder.name == STANDALONE else folder.name
            for file in sorted(folder.glob("*.json")):
                with contextlib.suppress(StorageError):
                    turn = codec.read_turn(file.read_bytes(), str(file))
                    yield attrs.evolve(turn, session=session)


def _expand(root: Path) -> Path:
    try:
        return root.expanduser().absolute()
    except RuntimeError as error:
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
        version = int(json.loads(text)["min_reader"])
    except (ValueError, LookupError, TypeError) as error:
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
