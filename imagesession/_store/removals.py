"""
Removals in a library: into the bin, out of it again, or for good.

What is to be done is recorded first, and dropped when it is done. Each step can be repeated, so a
removal whose program was stopped is finished by the next one.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Collection, Iterable, Iterator

import attrs

from imagesession._domain.health import HealthCheck
from imagesession._domain.marks import Mark
from imagesession._domain.removal import ProviderCopy, Removal, Targets, Verb
from imagesession._domain.turn import ImageRecord
from imagesession._domain.wording import list_some
from imagesession._engine.image_queries import ImageQuery
from imagesession.errors import CorruptRecordError, InvalidRequestError, NotFoundError, StorageError

from . import codec
from .erasure import ErasureStore
from .images import ImageStore
from .marks import MarkStore
from .ports import Key
from .records import is_open, set_aside
from .view import StorePart, View


class RemovalStore(StorePart):
    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._erasure = ErasureStore(view)
        self._images = ImageStore(view)
        self._marks = MarkStore(view)

    def begin(self, verb: Verb, targets: Targets, *, forgets_owner: bool = False) -> Removal:
        """
        Record a removal durably and carry it out in the library, the whole of it or nothing; return
        it with the provider's copies that are still to be erased.
        """
        begun = Removal(
            id=self.ids.new(),
            verb=verb,
            at=self.facts.now(),
            targets=targets,
            forgets_owner=forgets_owner,
        )
        if verb == "erase":
            begun = attrs.evolve(begun, copies=tuple(self._erasure.find_copies(targets)))
        right = self.rights.hold(_right(begun.id))
        try:
            self.facts.put_new({Key("removal", begun.id): codec.dump_removal(begun)})
            try:
                self._start(begun)
            except (StorageError, InvalidRequestError):
                self._undo(begun)
                raise
            return self._finish(begun)
        finally:
            if right is not None:
                right.release()

    def drop_queues(self, owner: str) -> None:
        self.ports.drop_queues(owner)

    def finish_all(self) -> tuple[Removal, ...]:
        """
        Finish the removals of programs that were stopped, whoever's they are; return the erasures
        of which the provider still has copies.
        """
        return tuple(self._finish_each())

    def _finish_each(self) -> Iterator[Removal]:
        for key in tuple(self.facts.scan("removal")):
            right = self.rights.hold(_right(key.id))
            if right is None:
                continue  # a running program is at it
            try:
                removal = self._read(key)
                if removal is not None and (done := self._finish(removal)).copies:
                    yield done
            finally:
                right.release()

    def _read(self, key: Key) -> Removal | None:
        """
        Read a removal; set it aside if it is damaged, so that it holds up no other.
        """
        data = self.facts.get(key)
        if data is None:
            return None
        try:
            return codec.read_removal(data, self.facts.describe(key))
        except CorruptRecordError:
            set_aside(self.facts, key, data)
            return None

    def record_erased(self, removal: Removal, copies: Collection[ProviderCopy]) -> Removal:
        """
        Record that copies were erased at the provider; an erasure without copies is finished.
        """
        left = tuple(copy for copy in removal.copies if copy not in copies)
        remaining, key = attrs.evolve(removal, copies=left), Key("removal", removal.id)
        if left:
            self.facts.replace(key, codec.dump_removal(remaining))
        else:
            self.facts.drop(key)
        return remaining

    def check(self) -> HealthCheck:
        left: list[str] = []
        for key in self.facts.scan("removal"):
            with contextlib.suppress(StorageError):
                removal = codec.read_removal(self.facts.get(key) or b"{}", self.facts.describe(key))
                left += list(map(str, removal.copies)) or [f"{removal.verb} {removal.id}"]
        if not left:
            return HealthCheck(name="erasures", message="nothing is left to be erased.")
        return HealthCheck(
            name="erasures",
            state="warning",
            message=f"{len(left)} are not finished: {list_some(left)}.",
            remedy="studio.recover() tries again, with a studio for the provider that has them.",
        )

    def _start(self, removal: Removal) -> None:
        """
        Do what may fail for a reason that the caller can mend.
        """
        if removal.verb == "restore":
            self._restore_files(self._erasure.images_of(removal.targets))
            return
        self._mark(removal)
        for owner, ids in removal.targets.items():
            if owner in ids:
                self._check_idle(owner)

    def _restore_files(self, images: Iterable[ImageRecord]) -> None:
        done: list[str] = []
        try:
            for image in images:
                self.blobs.put_back(image.file)
                done.append(image.file)
        except StorageError:
            for file in done:
                self.blobs.set_aside(file)
            raise

    def _undo(self, removal: Removal) -> None:
        with contextlib.suppress(StorageError):
            if removal.verb != "restore":
                for owner, ids in removal.targets.items():
                    self._marks.change(owner, ids, lambda mark: _unmarked(mark, removal.at))
            self.facts.drop(Key("removal", removal.id))

    def _finish(self, removal: Removal) -> Removal:
        """
        Carry out the steps of a removal, all of which can be repeated.
        """
        if removal.verb == "restore":
            self._restore_files(self._erasure.images_of(removal.targets))
            for owner, ids in removal.targets.items():
                self._marks.change(owner, ids, lambda mark: attrs.evolve(mark, deleted=None))
        else:
            self._mark(removal)
            used = self._files_in_use(removal.targets)
            images = tuple(self._erasure.images_of(removal.targets))
            take_away = self.blobs.drop if removal.verb == "erase" else self.blobs.set_aside
            for image in images:
                if image.file not in used:
                    take_away(image.file)
            shared = tuple(image.id for image in images if image.file in used)
            removal = attrs.evolve(removal, shared=shared)
        if removal.verb == "erase":
            self._erasure.erase(removal)
        return self.record_erased(removal, ())

    def _mark(self, removal: Removal) -> None:
        for owner, ids in removal.targets.items():
            self._marks.change(
                owner, ids, lambda mark: attrs.evolve(mark, deleted=mark.deleted or removal.at)
            )

    def _check_idle(self, owner: str) -> None:
        """
        Refuse to remove a session in which a request is under way. Who sends one looks at the marks
        after writing its intent, so one of both notices the other.
        """
        for key in self.facts.scan("intent"):
            if key.session == owner and is_open(self.facts, key):
                raise InvalidRequestError(
                    f"A request is under way in session {owner}. Wait for it, or cancel it with "
                    f"studio.requests.cancel({key.id!r})."
                )

    def _files_in_use(self, targets: Targets) -> set[str]:
        """
        Return the files of images that are not deleted, as far as several images may have them:
        promotions, and what they were made from.
        """
        promoted = self._images.each(ImageQuery(kind="promotion"))
        files = {turn.images[position].file for turn, position in promoted}
        for owner, ids in targets.items():
            for turn in self._erasure.turns_of(owner, ids):
                with contextlib.suppress(NotFoundError):
                    if turn.kind == "promotion" and turn.origin and turn.origin.image_id:
                        original, position = self._images.find(turn.origin.image_id)
                        files.add(original.images[position].file)
        return files


def _unmarked(mark: Mark, at: dt.datetime) -> Mark:
    return attrs.evolve(mark, deleted=None) if mark.deleted == at else mark


def _right(removal_id: str) -> str:
    return f"removal {removal_id}"
