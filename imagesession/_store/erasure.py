"""
Erasing in a library: what is kept of a turn, session or batch that is gone, and what the provider
has of it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Collection, Iterable, Iterator

import attrs

from imagesession._domain.marks import UNMARKED, Mark, to_tombstone
from imagesession._domain.removal import ProviderCopy, Removal, Targets
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImageRecord, Turn, count_made
from imagesession._version import __version__
from imagesession.errors import StorageError

from . import codec
from .batches import BatchStore
from .images import ImageStore
from .marks import MarkStore
from .ports import Key
from .providers import UploadStore
from .records import read_turn, turn_key
from .sessions import SessionStore
from .strict_reader import parse_object
from .view import StorePart, View


class ErasureStore(StorePart):
    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._sessions = SessionStore(view)
        self._images = ImageStore(view)
        self._batches = BatchStore(view)
        self._marks = MarkStore(view)
        self._uploads = UploadStore(view)

    def turns_of(self, owner: str, ids: Collection[str]) -> Iterator[Turn]:
        """
        Yield the recorded turns of a session, or the standalone one, that have some of the ids; all
        of them if the session is among these.
        """
        if owner in ids and self.facts.has(Key("session", owner)):
            keys = set(self.facts.scan("turn", owner))
        else:
            rows = [row for row in map(self.index.find, ids) if row is not None]
            session = owner if self.facts.has(Key("session", owner)) else None
            keys = {Key("turn", row.turn, row.session) for row in rows}
            keys |= {Key("turn", item, session) for item in ids}
        for key in sorted(keys, key=lambda key: key.id):
            if self.facts.has(key):
                yield read_turn(self.facts, key)

    def images_of(self, targets: Targets) -> Iterator[ImageRecord]:
        for owner, ids in targets.items():
            for turn in self.turns_of(owner, ids):
                for image in turn.images:
                    if turn.session in ids or image.id in ids:
                        yield image

    def find_copies(self, targets: Targets) -> Iterator[ProviderCopy]:
        yield from dict.fromkeys(
            copy for owner, ids in targets.items() for copy in self._find_copies(owner, ids)
        )

    def _find_copies(self, owner: str, ids: Collection[str]) -> Iterator[ProviderCopy]:
        if (batch := self._batches.read(owner)) is not None:
            for file in filter(None, (batch.file_id, batch.output_file_id, batch.error_file_id)):
                yield ProviderCopy(provider=batch.provider, kind="file", id=file)
        turns = tuple(self.turns_of(owner, ids))
        gone = {turn.id for turn in turns if self._is_whole(turn, ids)}
        others = tuple(self._other_turns(owner, gone))
        for turn in turns:
            if turn.response_id is not None and not turn.response_id.startswith("http"):
                yield ProviderCopy(provider=turn.provider, kind="response", id=turn.response_id)
            conversation = _conversation(turn, others)
            if conversation is not None:
                yield conversation
            images = {image.sha256 for image in turn.images if turn.id in gone or image.id in ids}
            given = _references((turn,)) - _references(others) if turn.id in gone else set[str]()
            for digest in sorted(images | given):
                upload = self._uploads.find(digest, turn.provider, self.facts.now())
                if upload is not None:
                    yield ProviderCopy(provider=turn.provider, kind="file", id=upload.file_id)

    def _is_whole(self, turn: Turn, ids: Collection[str]) -> bool:
        return bool({turn.session, turn.id} & set(ids)) or (
            bool(turn.images) and all(image.id in ids for image in turn.images)
        )

    def _other_turns(self, session: str, gone: Collection[str]) -> Iterator[Turn]:
        for key in self.facts.scan("turn", session):
            if key.id not in gone:
                with contextlib.suppress(StorageError):
                    yield read_turn(self.facts, key)

    def erase(self, removal: Removal) -> None:
        for owner, ids in removal.targets.items():
            for turn in self.turns_of(owner, ids):
                self._erase_turn(turn, ids, removal)
            record = self._sessions.read(owner) if owner in ids else None
            if record is not None:
                self._erase_session(record, removal.at)
            elif self.facts.has(Key("session", owner)):
                self._marks.change(
                    owner, ids, lambda mark: Mark(deleted=mark.deleted or removal.at, erased=True)
                )
            else:
                self.facts.drop(Key("batch", owner))
                self._marks.change(owner, ids, lambda _: UNMARKED)
        self._forget_uploads({copy.id for copy in removal.copies})

    def _erase_turn(self, turn: Turn, ids: Collection[str], removal: Removal) -> None:
        """
        Put what may stay in place of a turn's record. If this removal has done so already, it is
        done again: the program that was stopped may not have come to what depends on the record.
        """
        if turn.deleted not in {None, removal.at} and not removal.forgets_owner:
            return  # it was erased before
        erased = turn if turn.deleted is not None else self._remainder(turn, ids, removal.at)
        if removal.forgets_owner:
            erased = attrs.evolve(erased, owner=None)
        self.facts.replace(turn_key(turn), codec.dump_turn(erased))
        self.facts.drop(Key("quarantine", turn.id))
        self._sessions.forget_turn(turn)
        for position, image in enumerate(erased.images):
            self.blobs.annotate(image.file, self._images.metadata(erased, position))

    def _remainder(self, turn: Turn, ids: Collection[str], at: dt.datetime) -> Turn:
        if self._is_whole(turn, ids):
            return to_tombstone(turn, at)
        left = tuple(image for image in turn.images if image.id not in ids)
        # The others have the same words; but the provider's copy of the turn is of all of them.
        gone = turn.erased_images + count_made(turn.images) - count_made(left)
        return attrs.evolve(
            turn,
            images=left,
            erased_images=gone,
            response_id=None,
            conversation=None,
            item_ids=(),
        )

    def _erase_session(self, record: SessionRecord, at: dt.datetime) -> None:
        """
        Keep of a session that it was there, and where its branches ended; but not whose it was.
        """
        erased = SessionRecord(
            id=record.id,
            description="",
            created=record.created,
            closed=record.closed or at,
            moves=record.moves,
            version=__version__,
        )
        with self.facts.transaction(f"session {record.id}"):
            self.facts.replace(Key("session", record.id), codec.dump_session(erased))
            marks = {record.id: Mark(deleted=at, erased=True)}
            self.facts.replace(Key("marks", record.id), codec.dump_marks(marks))

    def _forget_uploads(self, file_ids: Collection[str]) -> None:
        for key in self.facts.scan("upload"):
            with contextlib.suppress(StorageError, ValueError, TypeError):
                if parse_object(self.facts.get(key) or b"{}").get("file_id") in file_ids:
                    self.facts.drop(key)


def _conversation(turn: Turn, others: Iterable[Turn]) -> ProviderCopy | None:
    """
    Return what a conversation has of a turn; None if that cannot be told from what it has of
    others.
    """
    is_shared = any(other.conversation == turn.conversation for other in others)
    if turn.conversation is None or (is_shared and not turn.item_ids):
        return None
    return ProviderCopy(
        provider=turn.provider,
        kind="conversation",
        id=turn.conversation,
        items=turn.item_ids if is_shared else (),
    )


def _references(turns: Iterable[Turn]) -> set[str]:
    return {reference.sha256 for turn in turns for reference in turn.references}
