"""
A library on disk: the `Store` that flows ask.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from imagesession._model.sessions import SessionRecord
from imagesession._model.tree import Tree
from imagesession._model.turns import ImageRecord, Turn
from imagesession._plan.store import Begun, Fetched, ImageQuery, Source
from imagesession._plan.wire import Received
from imagesession._version import __version__
from imagesession.errors import (
    DiskError,
    LibraryError,
    LibraryTooNewError,
    NotFoundError,
    PictureError,
    RecordError,
)

from . import inputs, records, shelf
from .durable import disk_errors, make_folder, replace, sweep, write_new
from .ids import IdMaker, is_id
from .index import Index, Row
from .journal import Journal
from .layout import ONE_SHOTS, Layout

LAYOUT_VERSION = 1
MIN_FREE_BYTES = 64_000_000
MAX_UNINDEXED = 200
_HINTS = 5


class Library:
    """
    A folder of pictures and of all that is known of them.

    Args:
        root: The folder; made if it is missing.

    Raises:
        DiskError: The folder cannot be used.
        LibraryTooNewError: A newer imagesession wrote it.
    """

    def __init__(self, root: Path) -> None:
        self.layout = Layout(_expand(root))
        self._ids = IdMaker()
        self._journal = Journal(self.layout)
        self._index = Index(self.layout.index, self._scan)
        self._turns: dict[str, dict[str, Turn]] = {}
        self._lock = threading.Lock()
        self._unindexed = 0
        with disk_errors(self.layout.root):
            self._check_format()
            for folder in self.layout.folders():
                make_folder(folder)
            self._mark_format()
            sweep(self.layout.tmp)

    # --- beginning and ending a turn ---

    def begin(self, after: str = "") -> Begun:
        """
        Give out the time and an id, greater than one that is there already.
        """
        return Begun(id=self._ids.new(after), at=dt.datetime.now(dt.UTC))

    def intend(self, turn: Turn) -> None:
        """
        Write down durably what is about to be asked, if there is room for what will come.

        Raises:
            DiskError: The library cannot be written, or its disk is nearly full; so this is found
                before anything is paid for.
        """
        with disk_errors(self.layout.journal):
            free = shutil.disk_usage(self.layout.journal).free
            if free < MIN_FREE_BYTES:
                raise DiskError(
                    f"The disk of {self.layout.root} has {free / 1e6:.0f} MB left; at least "
                    f"{MIN_FREE_BYTES / 1e6:.0f} MB are wanted before a picture is paid for. "
                    "Make room."
                )
            self._journal.intend(turn)

    def note(self, turn: Turn, response_id: str) -> None:
        """
        Write down durably the provider's id of what was asked.
        """
        with disk_errors(self.layout.journal):
            self._journal.note(turn, response_id)

    def forget(self, turn: Turn) -> None:
        """
        Drop an intent that the provider did not take up.
        """
        with disk_errors(self.layout.journal):
            self._journal.drop(turn.id, turn.session)

    def commit(self, turn: Turn, pictures: tuple[Received, ...]) -> Turn:
        """
        Keep a settled turn: its pictures, then the record that counts them in.

        The index is left alone: whoever lists pictures next takes this one in from the journal.

        Returns:
            The turn as it was recorded, with its images.

        Raises:
            DiskError: It cannot be kept; the intent stays in the journal.
        """
        with disk_errors(self.layout.root):
            now = dt.datetime.now(dt.UTC)
            images = tuple(
                shelf.put(self.layout, turn, now, picture, self._ids.new()) for picture in pictures
            )
            settled = attrs.evolve(turn, images=images, finished=now, version=__version__)
            file = self.layout.turn_file(turn.session, turn.id)
            make_folder(file.parent)
            # The commit: before this line the turn is not settled, after it, it is.
            write_new(file, records.dump_turn(settled), self.layout.tmp)
        # What is left can be made again, and does not undo that the turn is kept.
        with contextlib.suppress(OSError):
            shelf.describe(self.layout, settled)
        with contextlib.suppress(LibraryError):
            self._unindexed += 1
            if self._unindexed > MAX_UNINDEXED:
                self._catch_up()
        return settled

    def spill(self, turn_id: str, body: bytes) -> str:
        """
        Keep a reply that was paid for and could not be read.
        """
        file = self.layout.spill / f"{turn_id}.bin"
        with disk_errors(file):
            replace(file, body, self.layout.tmp)
        return str(file)

    # --- pictures ---

    def fetch(self, source: Source) -> Fetched:
        """
        Read a reference picture, wherever it is.

        Raises:
            PictureError: It is not one that the provider takes.
        """
        if isinstance(source, ImageRecord):
            return inputs.ready(self.read(source), f"Picture {source.id}", source.id)
        return inputs.load(source)

    def still(self, image: ImageRecord) -> Fetched | None:
        """
        Read a picture of the library as the wire takes it; None for one that has no pixels.
        """
        if image.format == "svg":
            return None
        # No limit on its size: it came from the provider, and goes back there.
        return inputs.ready(self.read(image), f"Picture {image.id}", image.id, limit=None)

    def read(self, image: ImageRecord) -> bytes:
        """
        Return a picture's bytes.

        Raises:
            PictureError: Its file is gone.
        """
        path = self.path(image)
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise PictureError(
                f"Picture {image.id} cannot be read from {path}: {error.strerror}. Its record is "
                "still there; put the file back under that name."
            ) from error

    def path(self, image: ImageRecord) -> str:
        """
        Return where a picture's file lies.
        """
        return str(self.layout.root / image.file)

    def list_images(self, query: ImageQuery) -> tuple[tuple[Turn, int], ...]:
        """
        Return turns with the position of a picture in each, the newest first.
        """
        with disk_errors(self.layout.index):
            self._catch_up()
            rows = self._index.page(query.session, query.before, query.limit)
        return tuple((self._read_turn(row.session, row.turn), row.position) for row in rows)

    def find_image(self, image_id: str) -> tuple[Turn, int]:
        """
        Return the turn of a picture, and its position there.

        Raises:
            NotFoundError: There is no such picture.
        """
        with disk_errors(self.layout.index):
            self._catch_up()
            row = self._index.find(image_id) if is_id(image_id) else None
            if row is not None:
                return self._read_turn(row.session, row.turn), row.position
            latest = tuple(row.image for row in self._index.page(None, None, _HINTS))
        raise NotFoundError(
            f"This library has no picture {image_id!r}. Its latest are: "
            f"{', '.join(latest) or 'none yet'}.",
            image_id,
            latest,
        )

    # --- sessions ---

    def save_session(self, record: SessionRecord) -> None:
        """
        Write a new session's record durably.
        """
        file = self.layout.session_file(record.id)
        with disk_errors(file):
            fresh = attrs.evolve(record, version=__version__)
            write_new(file, records.dump_session(fresh), self.layout.tmp)

    def update_session(
        self, session_id: str, change: Callable[[SessionRecord], SessionRecord]
    ) -> SessionRecord:
        """
        Change a session's record durably, with no other process in between.
        """
        file = self.layout.session_file(session_id)
        with disk_errors(file), self._index.locked():
            changed = attrs.evolve(change(self.find_session(session_id)), version=__version__)
            replace(file, records.dump_session(changed), self.layout.tmp)
        return changed

    def find_session(self, wanted: str) -> SessionRecord:
        """
        Return a session by its id, or by a name that only one session has.

        Raises:
            NotFoundError: There is none, or more than one of that name.
        """
        if is_id(wanted):
            file = self.layout.session_file(wanted)
            with disk_errors(file):
                data = file.read_bytes() if file.exists() else None
            if data is not None:
                return records.read_session(data, str(file))
        sessions = self.list_sessions()
        named = [record for record in sessions if record.name == wanted]
        if len(named) == 1:
            return named[0]
        chosen = named or sessions
        known = tuple(record.id for record in chosen[:_HINTS])
        listed = ", ".join(
            f"{record.id} ({record.name or record.description[:40]})" for record in chosen[:_HINTS]
        )
        problem = (
            f"{len(named)} sessions are called {wanted!r}; open one by its id"
            if named
            else f"This library has no session {wanted!r}. Its latest are"
        )
        raise NotFoundError(f"{problem}: {listed or 'none yet'}.", wanted, known)

    def list_sessions(self) -> tuple[SessionRecord, ...]:
        """
        Return all sessions, the latest first.
        """
        found: list[SessionRecord] = []
        with disk_errors(self.layout.sessions):
            for file in sorted(self.layout.sessions.glob("*.json"), reverse=True):
                # One that is damaged does not hide the others; opening it by its id names it.
                with contextlib.suppress(LibraryError):
                    found.append(records.read_session(file.read_bytes(), str(file)))
        return tuple(found)

    def tree(self, record: SessionRecord) -> Tree:
        """
        Return a session's turns. Records never change, so each is read once.
        """
        folder = self.layout.turns / record.id
        with self._lock, disk_errors(folder):
            known = self._turns.setdefault(record.id, {})
            for name in os.listdir(folder) if folder.exists() else ():  # noqa: PTH208 - names will do
                turn_id, _, suffix = name.partition(".")
                if suffix == "json" and turn_id not in known:
                    known[turn_id] = self._read_turn(record.id, turn_id)
            turns = tuple(known.values())
        return Tree(moves=record.moves).plus(turns)

    def _read_turn(self, session_id: str | None, turn_id: str) -> Turn:
        file = self.layout.turn_file(session_id, turn_id)
        with disk_errors(file):
            return records.read_turn(file.read_bytes(), str(file))

    # --- opening ---

    def _check_format(self) -> None:
        try:
            text = self.layout.format.read_bytes()
        except FileNotFoundError:
            return
        try:
            version = int(json.loads(text)["min_reader"])
        except (ValueError, LookupError, TypeError) as error:
            raise RecordError(
                f"{self.layout.format} is damaged. If this is a library of imagesession, write "
                f'{{"format": {LAYOUT_VERSION}, "min_reader": {LAYOUT_VERSION}}} into it.'
            ) from error
        if version > LAYOUT_VERSION:
            raise LibraryTooNewError(
                f"The library {self.layout.root} was written by a newer imagesession (format "
                f"{version}; this one reads {LAYOUT_VERSION}). Update: pip install -U imagesession."
            )

    def _mark_format(self) -> None:
        mark = json.dumps({"format": LAYOUT_VERSION, "min_reader": LAYOUT_VERSION}).encode()
        if not self.layout.format.exists():
            with contextlib.suppress(FileExistsError):
                write_new(self.layout.format, mark, self.layout.tmp)

    def _catch_up(self) -> None:
        """
        Take the turns into the index that were settled since, by whichever process.

        Their intents stay in the journal until then. So settling a turn need not wait for the
        index to be flushed, and a process that dies in between leaves nothing undone.
        """
        self._unindexed = 0
        settled: list[Turn] = []
        for entry in self._journal.entries():
            if self.layout.turn_file(entry.session_id, entry.turn_id).exists():
                # One that is damaged stays; reading its session names the damage.
                with contextlib.suppress(LibraryError):
                    settled.append(self._read_turn(entry.session_id, entry.turn_id))
        if settled:
            self._index.add(row for turn in settled for row in _rows(turn))
            for turn in settled:
                self._journal.drop(turn.id, turn.session)

    def _scan(self) -> Iterator[Row]:
        """
        Read where all pictures are from the records. One that is damaged is left out: its picture
        can be seen in its folder, and reading its session names the damage.
        """
        for folder in sorted(self.layout.turns.iterdir()):
            session = None if folder.name == ONE_SHOTS else folder.name
            for file in sorted(folder.glob("*.json")):
                with contextlib.suppress(LibraryError):
                    turn = records.read_turn(file.read_bytes(), str(file))
                    yield from _rows(attrs.evolve(turn, session=session))


def _expand(root: Path) -> Path:
    try:
        return root.expanduser().absolute()
    except RuntimeError as error:
        raise DiskError(
            f"The library cannot use {root}: {error}. Write the path in full."
        ) from error


def _rows(turn: Turn) -> list[Row]:
    return [
        Row(image.id, turn.id, turn.session, position) for position, image in enumerate(turn.images)
    ]
