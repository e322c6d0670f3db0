"""
Removals in a library: into the bin, out of it again, or for good.

What is to be done is recorded first, and dropped when it is done. Each step can be repeated, so a
removal whose program was stopped is finished by the next one.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import get_args

import attrs

from imagesession._domain.health import HealthCheck
from imagesession._domain.marks import UNMARKED, Mark, is_deleted
from imagesession._domain.removal import CopyKind, ProviderCopy, Removal, Targets, Verb
from imagesession._domain.turn import ImageRecord, Turn, is_id
from imagesession._domain.wording import list_some
from imagesession._engine.store import ImageQuery
from imagesession.errors import InvalidRequestError, NotFoundError, StorageError

from .erasure import ErasureStore
from .ports import Key
from .records import is_open, read_turn
from .strict_reader import StrictReader, parse_object

_PAGE = 500


class RemovalStore(ErasureStore):
    """
    The part of a library that deletes, restores and erases.
    """

    def find_targets(
        self,
        verb: Verb,
        images: Iterable[str] = (),
        sessions: Iterable[str] = (),
        batches: Iterable[str] = (),
    ) -> Targets:
        """
        Find what is to be removed.

        Args:
            verb: What is to be done to it.
            images: The ids of images and turns.
            sessions: The ids or names of sessions.
            batches: The ids or names of batches.

        Raises:
            NotFoundError: There is no such thing.
            InvalidRequestError: It is in the bin already, or not in there, or under way.
        """
        found: dict[str, list[str]] = defaultdict(list)
        for wanted in images:
            turn, ids = self._find_turn(wanted)
            self._check_removable(verb, turn)
            found[turn.session or turn.id] += self._in_state(verb, turn, ids, wanted)
        for wanted in sessions:
            session_id = self._find_removed_session(verb, wanted)
            found[session_id].append(session_id)
        for wanted in batches:
            for owner, ids in self._batch_targets(verb, wanted):
                found[owner] += ids
        return {owner: tuple(dict.fromkeys(ids)) for owner, ids in found.items() if ids}

    def bin_content(self, before: dt.datetime | None) -> Targets:
        """
        Return what is in the bin.

        Args:
            before: Only what was deleted before this time; None for all.
        """
        content = {
            owner: tuple(
                marked_id
                for marked_id, mark in marks.items()
                if mark.deleted is not None
                and not mark.erased
                and (before is None or mark.deleted < before)
            )
            for owner, marks in self.all_marks().items()
        }
        return {owner: ids for owner, ids in content.items() if ids}

    def begin_removal(
        self, verb: Verb, targets: Targets, *, forgets_owner: bool = False
    ) -> Removal:
        """
        Record a removal durably and carry it out in the library, the whole of it or nothing.

        Args:
            verb: What is done.
            targets: What it is done to.
            forgets_owner: Whether what stays of erased turns does not say whose they were.

        Returns:
            The removal, with the provider's copies that are still to be erased.

        Raises:
            StorageIOError: The library cannot be written, or a file has the place of a restored
                image.
            InvalidRequestError: A request is under way in a session that is to be removed.
        """
        # What others have of the same files and conversations decides what may go.
        return self.seen_by(None)._begin(  # noqa: SLF001 - it is this one
            Removal(
                id=self.ids.new(),
                verb=verb,
                at=self.facts.now(),
                targets=targets,
                forgets_owner=forgets_owner,
            )
        )

    def _begin(self, begun: Removal) -> Removal:
        if begun.verb == "erase":
            begun = attrs.evolve(begun, copies=tuple(self.find_copies(begun.targets)))
        right = self.rights.hold(_right(begun.id))
        try:
            self.facts.put_new({Key("removal", begun.id): _dump(begun)})
            try:
                self._start(begun)
            except (StorageError, InvalidRequestError):
                self._undo(begun)
                raise
            return self._finish(begun)
        finally:
            if right is not None:
                right.release()

    def finish_removals(self) -> tuple[Removal, ...]:
        """
        Finish the removals of programs that were stopped, whoever's they are.

        Returns:
            The erasures of which the provider still has copies.
        """
        return tuple(self.seen_by(None)._finish_each())  # noqa: SLF001 - it is this one

    def _finish_each(self) -> Iterator[Removal]:
        for key in tuple(self.facts.scan("removal")):
            right = self.rights.hold(_right(key.id))
            if right is None:
                continue  # a running program is at it
            try:
                data = self.facts.get(key)
                if data is not None:
                    removal = self._finish(_read(data, self.facts.describe(key)))
                    if removal.copies:
                        yield removal
            finally:
                right.release()

    def record_erased(self, removal: Removal, copies: Collection[ProviderCopy]) -> Removal:
        """
        Record that copies were erased at the provider; an erasure without copies is finished.
        """
        left = tuple(copy for copy in removal.copies if copy not in copies)
        remaining, key = attrs.evolve(removal, copies=left), Key("removal", removal.id)
        if left:
            self.facts.replace(key, _dump(remaining))
        else:
            self.facts.drop(key)
        return remaining

    def check_removals(self) -> HealthCheck:
        """
        Tell which removals are not finished.
        """
        left: list[str] = []
        for key in self.facts.scan("removal"):
            with contextlib.suppress(StorageError, ValueError, TypeError):
                removal = _read(self.facts.get(key) or b"{}", self.facts.describe(key))
                left += list(map(str, removal.copies)) or [f"{removal.verb} {removal.id}"]
        if not left:
            return HealthCheck(name="erasures", message="nothing is left to be erased.")
        return HealthCheck(
            name="erasures",
            state="warning",
            message=f"{len(left)} are not finished: {list_some(left)}.",
            remedy="studio.recover() tries again, with a studio for the provider that has them.",
        )

    # --- the steps --------------------------------------------------------------------------------

    def _start(self, removal: Removal) -> None:
        """
        Do what may fail for a reason that the caller can mend.
        """
        if removal.verb == "restore":
            self._restore_files(self.images_of(removal.targets))
            return
        self._mark(removal)
        for owner, ids in removal.targets.items():
            if owner in ids:
                self._check_idle(owner)

    def _restore_files(self, images: Iterable[ImageRecord]) -> None:
        """
        Put images back, all of them or none.
        """
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
        """
        Undo what `_start` did, as far as the library can be written.
        """
        with contextlib.suppress(StorageError):
            if removal.verb != "restore":
                for owner, ids in removal.targets.items():
                    self.change_marks(owner, ids, lambda mark: _unmarked(mark, removal.at))
            self.facts.drop(Key("removal", removal.id))

    def _finish(self, removal: Removal) -> Removal:
        """
        Carry out the steps of a removal, all of which can be repeated.
        """
        if removal.verb == "restore":
            self._restore_files(self.images_of(removal.targets))
            for owner, ids in removal.targets.items():
                self.change_marks(owner, ids, lambda mark: attrs.evolve(mark, deleted=None))
        else:
            self._mark(removal)
            used = self._files_in_use(removal.targets)
            images = tuple(self.images_of(removal.targets))
            take_away = self.blobs.drop if removal.verb == "erase" else self.blobs.set_aside
            for image in images:
                if image.file not in used:
                    take_away(image.file)
            shared = tuple(image.id for image in images if image.file in used)
            removal = attrs.evolve(removal, shared=shared)
        if removal.verb == "erase":
            self.erase_records(removal)
        return self.record_erased(removal, ())

    def _mark(self, removal: Removal) -> None:
        for owner, ids in removal.targets.items():
            self.change_marks(
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
        files: set[str] = set()
        query = ImageQuery(kind="promotion", limit=_PAGE)
        while page := self.list_images(query):
            for turn, position in page:
                files.add(turn.images[position].file)
                query = attrs.evolve(query, before=turn.images[position].id)
        for owner, ids in targets.items():
            for turn in self.turns_of(owner, ids):
                with contextlib.suppress(NotFoundError):
                    if turn.kind == "promotion" and turn.origin and turn.origin.image_id:
                        original, position = self.find_image(turn.origin.image_id)
                        files.add(original.images[position].file)
        return files

    # --- finding targets --------------------------------------------------------------------------

    def _find_turn(self, wanted: str) -> tuple[Turn, tuple[str, ...]]:
        """
        Find an image, or a turn, and return the turn as it is recorded, with the ids to mark.
        """
        sessions = self.index.sessions_of((wanted,)) if is_id(wanted) else {}
        key = Key("turn", wanted, sessions.get(wanted))
        if wanted in sessions and self.facts.has(key):
            turn = read_turn(self.facts, key)
            return turn, tuple(image.id for image in turn.images) or (turn.id,)
        turn, position = self.find_recorded(wanted)
        return turn, (turn.images[position].id,)

    def _check_removable(self, verb: Verb, turn: Turn) -> None:
        """
        Refuse to delete or restore a part of a session that is deleted as a whole.
        """
        session = turn.session or ""
        if verb != "erase" and is_deleted(self.marks(session) if session else {}, session):
            record = self.read_session(session)
            if record is not None:
                self.check_session_present(record)

    def _in_state(
        self, verb: Verb, turn: Turn, ids: tuple[str, ...], wanted: str
    ) -> tuple[str, ...]:
        """
        Return those ids to which a removal makes a difference.

        Raises:
            InvalidRequestError: There are none.
        """
        marks = self.marks(turn.session or turn.id)
        found = tuple(item for item in ids if _is_next(verb, marks.get(item, UNMARKED)))
        if turn.deleted is None and found:
            return found
        if turn.deleted is not None or all(marks.get(item, UNMARKED).erased for item in ids):
            raise NotFoundError(f"{wanted} was erased.", wanted)
        if verb == "restore":
            raise InvalidRequestError(f"{wanted} is not in the bin; there is nothing to restore.")
        raise InvalidRequestError(
            f"{wanted} is in the bin already. studio.images.restore({wanted!r}) brings it back; "
            f"studio.images.erase({wanted!r}) erases it."
        )

    def _find_removed_session(self, verb: Verb, wanted: str) -> str:
        record = self.read_session(wanted) if is_id(wanted) else None
        if record is None and verb != "delete":
            named = [
                item for item in self.list_sessions(deleted=True) if wanted in {item.id, item.name}
            ]
            record = named[0] if named else None
        if record is None:
            record = self.find_session(wanted)
        mark = self.marks(record.id).get(record.id, UNMARKED)
        if not mark.erased and _is_next(verb, mark):
            return record.id
        if verb == "restore" and not mark.erased:
            raise InvalidRequestError(
                f"Session {record.id} is not in the bin; there is nothing to restore."
            )
        self.check_session_present(record)
        raise AssertionError(verb)

    def _batch_targets(self, verb: Verb, wanted: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """
        Yield a batch, then its images, each with its owner.
        """
        record = self.find_batch(wanted, deleted=verb != "delete")
        if not record.settled:
            raise InvalidRequestError(
                f"The batch {record.id} is not settled. Collect it with results(), or cancel it "
                "first."
            )
        if not _is_next(verb, self.marks(record.id).get(record.id, UNMARKED)):
            raise InvalidRequestError(f"The batch {record.id} is not in the bin.")
        yield record.id, (record.id,)
        for item in record.items:
            key = Key("turn", item.turn, item.session)
            if item.asked and self.facts.has(key):
                turn = read_turn(self.facts, key)
                ids = tuple(image.id for image in turn.images) or (turn.id,)
                marks = self.marks(turn.session or turn.id)
                yield (
                    turn.session or turn.id,
                    tuple(item for item in ids if _is_next(verb, marks.get(item, UNMARKED))),
                )


def _is_next(verb: Verb, mark: Mark) -> bool:
    """
    Tell whether a removal makes a difference to what has a mark.
    """
    if verb == "erase":
        return not mark.erased
    return (mark.deleted is None) == (verb == "delete")


def _unmarked(mark: Mark, at: dt.datetime) -> Mark:
    return attrs.evolve(mark, deleted=None) if mark.deleted == at else mark


def _right(removal_id: str) -> str:
    return f"removal {removal_id}"


def _dump(removal: Removal) -> bytes:
    members = {**attrs.asdict(removal), "at": removal.at.isoformat()}
    return json.dumps(members).encode("ascii")


def _read(data: bytes, where: str) -> Removal:
    record = StrictReader(parse_object(data), where)
    targets = record.inner("targets")
    return Removal(
        id=record.text("id"),
        verb=record.choice("verb", get_args(Verb)),
        at=record.time("at"),
        targets={owner: targets.texts(owner) for owner in targets.data},
        copies=record.each("copies", _read_copy),
        forgets_owner="forgets_owner" in record.data and record.required("forgets_owner", bool),
    )


def _read_copy(record: StrictReader) -> ProviderCopy:
    return ProviderCopy(
        provider=record.text("provider"),
        kind=record.choice("kind", get_args(CopyKind)),
        id=record.text("id"),
        items=record.texts("items"),
    )
