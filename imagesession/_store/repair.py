"""
Records that are gone or damaged: brought back from the metadata beside their images, or set aside;
and those of images whose files were renamed.

Nothing is dropped: a damaged record is kept in quarantine.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from imagesession._domain.health import HealthCheck
from imagesession._domain.image_header import ImageHeader, parse_header
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImageRecord, ImportOrigin, Turn
from imagesession._domain.wording import list_some
from imagesession._engine.image_queries import ImageQuery
from imagesession._version import __version__
from imagesession.errors import CorruptRecordError, StorageError

from . import codec, sidecar
from .ids import timestamp_of
from .images import ImageStore
from .ports import Blobs, Key
from .records import is_open, open_intents, quarantine, set_aside, to_intent, turn_key
from .sessions import SessionStore
from .view import StorePart, View


@attrs.frozen
class Described:
    """
    What the metadata beside images says of their records.

    Attributes:
        turns: The turns.
        sessions: The names and owners of their sessions, by the sessions' ids.
        unknown: The keys of the images without metadata from which a record can be made.
    """

    turns: tuple[Turn, ...]
    sessions: Mapping[str, tuple[str | None, str | None]]
    unknown: tuple[str, ...]


def read_descriptions(blobs: Blobs, keys: Iterable[str]) -> Described:
    beside: dict[object, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    unknown: list[str] = []
    for key in keys:
        metadata = blobs.annotation(key)
        # A copy of an image under another name may have a copy of its metadata.
        if metadata is None or metadata.get("image_path") != key:
            unknown.append(key)
        else:
            beside[str(metadata.get("turn_id"))].append((key, metadata))
    turns: list[Turn] = []
    sessions: dict[str, tuple[str | None, str | None]] = {}
    for images in beside.values():
        images.sort(key=_position)
        try:
            turn = sidecar.to_turn([metadata for _, metadata in images], images[0][0])
        except CorruptRecordError:
            unknown += (key for key, _ in images)
            continue
        turns.append(turn)
        name = images[-1][1].get("session_name")
        if turn.session is not None:
            sessions[turn.session] = name if isinstance(name, str) else None, turn.owner
    return Described(tuple(sorted(turns, key=lambda turn: turn.id)), sessions, tuple(unknown))


def _position(item: tuple[str, Mapping[str, Any]]) -> int:
    position = item[1].get("position")
    return position if isinstance(position, int) else 0


class RepairStore(StorePart):
    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._sessions = SessionStore(view)
        self._images = ImageStore(view)

    def repair(self) -> HealthCheck:
        """
        Write the records that are missing or damaged and can be made from the metadata beside
        images or from these, and where renamed files are; say which.
        """
        described = read_descriptions(self.blobs, tuple(self.blobs.keys()))
        restored = [
            turn.id
            for turn in described.turns
            if self._put_back(turn_key(turn), codec.dump_turn(turn), codec.read_turn)
        ]
        sessions = [
            session
            for session, (name, owner) in described.sessions.items()
            if self._restore(session, name, owner)
        ]
        if restored or sessions:
            self.index.rebuild()
        strays = self._record_strays(described.unknown)
        counts = (
            (restored, "turns brought back from the metadata beside images"),
            (sessions, "sessions brought back from the metadata beside images"),
            (strays, "images of no record kept as imported ones"),
            (self._record_moved_files(), "images recorded under their new names"),
        )
        parts = [f"{len(ids)} {what} ({list_some(ids)})" for ids, what in counts if ids]
        message = "; ".join(parts) if parts else "no record could be brought back"
        return HealthCheck(name="repair", message=f"{message}.")

    def _record_strays(self, keys: Iterable[str]) -> list[str]:
        """
        Record images that have neither record nor metadata, as imported ones: their programs ended
        before they knew more. Copies of images stay as they are; so does all while requests are
        under way, as it may be theirs. Return the new images' ids.
        """
        if self.owner is not None or any(open_intents(self.facts)):
            return []
        known = {
            turn.images[position].sha256
            for deleted in (False, True)
            for turn, position in self._images.each(ImageQuery(deleted=deleted))
        }
        recorded: list[str] = []
        for key in keys:
            with contextlib.suppress(OSError):
                data = self.blobs.get(key)
                header = parse_header(data)
                is_known = hashlib.sha256(data).hexdigest() in known
                if header is not None and not is_known and self.blobs.annotation(key) is None:
                    recorded.append(self._record_stray(key, data, header))
        if recorded:
            self.index.rebuild()
        return recorded

    def _record_stray(self, key: str, data: bytes, header: ImageHeader) -> str:
        turn = self._images.new_import(ImportOrigin(file=key.rpartition("/")[2]))
        turn = self._images.with_imported(turn, key, data, header)
        self.facts.put_new({turn_key(turn): codec.dump_turn(turn)})
        self.blobs.annotate(key, self._images.metadata(turn, 0))
        return turn.images[0].id

    def _record_moved_files(self) -> list[str]:
        images = self._images_without_files()
        moved = self.blobs.find_moved(images.values())
        for image_id, file in moved.items():
            turn, position = self._images.find_recorded(image_id)
            image = attrs.evolve(turn.images[position], file=file)
            renamed = (*turn.images[:position], image, *turn.images[position + 1 :])
            changed = attrs.evolve(turn, images=renamed)
            self.facts.replace(turn_key(turn), codec.dump_turn(changed))
            self._sessions.forget_turn(turn)
            self.blobs.annotate(file, self._images.metadata(changed, position))
            self.blobs.drop(images[image_id].file)  # with the metadata beside it
        return list(moved)

    def _images_without_files(self) -> dict[str, ImageRecord]:
        missing: dict[str, ImageRecord] = {}
        for turn, position in self._images.each(ImageQuery()):
            image = turn.images[position]
            try:
                self.blobs.version(image.file)
            except FileNotFoundError:
                missing[image.id] = image
            except OSError:
                continue
        return missing

    def _restore(self, session_id: str, name: str | None, owner: str | None) -> bool:
        """
        Bring a session back with its name and owner. Its options and the moves of its heads are not
        known.
        """
        record = SessionRecord(
            id=session_id,
            owner=owner,
            description="",
            name=name,
            created=timestamp_of(session_id),
            version=__version__,
        )
        return self._put_back(
            Key("session", session_id), codec.dump_session(record), codec.read_session
        )

    def _put_back(self, key: Key, data: bytes, read: codec.Reader) -> bool:
        present = self.facts.get(key)
        if present is None:
            self.facts.put_new({key: data})
            return True
        with contextlib.suppress(CorruptRecordError):
            read(present, self.facts.describe(key))
            return False
        quarantine(self.facts, key, present)
        self.facts.replace(key, data)
        return True

    def quarantine_damaged(self) -> dict[str, str]:
        """
        Move the records of requests and batches that are damaged, and that no program holds, into
        quarantine, so that they are told of once; return where each is kept, by its id.
        """
        moved: dict[str, str] = {}
        if self.owner is not None:  # it cannot be read whose they are
            return moved
        for key in (*self.facts.scan("intent"), *self.facts.scan("batch")):
            if key.kind == "batch" or is_open(self.facts, key):
                with contextlib.suppress(StorageError):  # where nothing can be written, it stays
                    moved |= self._set_aside(key)
        return moved

    def _set_aside(self, key: Key) -> dict[str, str]:
        right = self.rights.hold(f"{key.kind} {key.id}")
        if right is None:
            return {}
        try:
            # What was not finished is no record yet; see `Facts.get`.
            data = self.facts.get(key) or b"{}"
            if data != b"{}" and self._is_damaged(key, data):
                return {key.id: set_aside(self.facts, key, data)}
        finally:
            right.release()
        return {}

    def _is_damaged(self, key: Key, data: bytes) -> bool:
        read = to_intent if key.kind == "intent" else codec.read_batch
        try:
            read(data, self.facts.describe(key))
        except CorruptRecordError:
            return True
        return False
