"""
Records that are gone or damaged, brought back from the metadata beside their images.

Nothing is dropped: a damaged record is kept in quarantine.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from imagesession._domain.health import HealthCheck
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn
from imagesession._domain.wording import list_some
from imagesession._version import __version__
from imagesession.errors import CorruptRecordError

from . import codec, sidecar
from .ids import timestamp_of
from .ports import Blobs, Key
from .records import StorePart, turn_key


@attrs.frozen
class Described:
    """
    What the metadata beside images says of their records.

    Attributes:
        turns: The turns.
        names: The names of their sessions, by the sessions' ids.
        unknown: The keys of the images without metadata from which a record can be made.
    """

    turns: tuple[Turn, ...]
    names: Mapping[str, str | None]
    unknown: tuple[str, ...]


def read_descriptions(blobs: Blobs, keys: Iterable[str]) -> Described:
    """
    Read the metadata beside images.

    Args:
        blobs: The images.
        keys: The keys of those to read.
    """
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
    names: dict[str, str | None] = {}
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
            names[turn.session] = name if isinstance(name, str) else None
    return Described(tuple(sorted(turns, key=lambda turn: turn.id)), names, tuple(unknown))


def _position(item: tuple[str, Mapping[str, Any]]) -> int:
    position = item[1].get("position")
    return position if isinstance(position, int) else 0


class RepairStore(StorePart):
    """
    The part of a library that brings records back.
    """

    def repair(self) -> HealthCheck:
        """
        Write the records that are missing or damaged and can be made from the metadata beside
        images, and say which.

        Raises:
            StorageIOError: The library cannot be written.
        """
        described = read_descriptions(self.blobs, tuple(self.blobs.keys()))
        restored = [turn.id for turn in described.turns if self._restore_turn(turn)]
        sessions = [
            session for session, name in described.names.items() if self._restore(session, name)
        ]
        if not restored and not sessions:
            return HealthCheck(name="repair", message="no record could be brought back.")
        self.index.rebuild()
        parts = [
            f"{len(ids)} {what} ({list_some(ids)})"
            for what, ids in (("turns", restored), ("sessions", sessions))
            if ids
        ]
        return HealthCheck(
            name="repair",
            message=f"brought back from the metadata beside images: {' and '.join(parts)}.",
        )

    def _restore_turn(self, turn: Turn) -> bool:
        return self._put_back(turn_key(turn), codec.dump_turn(turn), codec.read_turn)

    def _restore(self, session_id: str, name: str | None) -> bool:
        """
        Bring a session back with its name. Its options and the moves of its heads are not known.
        """
        record = SessionRecord(
            id=session_id,
            description="",
            name=name,
            created=timestamp_of(session_id),
            version=__version__,
        )
        return self._put_back(
            Key("session", session_id), codec.dump_session(record), codec.read_session
        )

    def _put_back(self, key: Key, data: bytes, read: codec.Reader) -> bool:
        """
        Write a fact if there is none that can be read; tell whether it was written.
        """
        present = self.facts.get(key)
        if present is None:
            self.facts.put_new({key: data})
            return True
        with contextlib.suppress(CorruptRecordError):
            read(present, self.facts.describe(key))
            return False
        self.facts.replace(Key("quarantine", f"{key.id}.{key.kind}"), present)
        self.facts.replace(key, data)
        return True
