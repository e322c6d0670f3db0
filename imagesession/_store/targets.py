"""
What is to be removed: what a caller names, what is in the bin, what belongs to an owner, or what is
older than an age.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from imagesession._domain.marks import UNMARKED, Mark, Marks, is_deleted
from imagesession._domain.removal import Targets, Verb
from imagesession._domain.turn import Turn, is_id
from imagesession.errors import InvalidRequestError, NotFoundError

from .batches import BatchStore
from .ids import first_id
from .images import ImageStore
from .marks import MarkStore
from .ports import Key
from .records import open_intents, read_turn, read_turns
from .sessions import SessionStore
from .view import StorePart, View


class TargetStore(StorePart):
    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._sessions = SessionStore(view)
        self._images = ImageStore(view)
        self._batches = BatchStore(view)
        self._marks = MarkStore(view)

    def find(
        self,
        verb: Verb,
        images: Iterable[str] = (),
        sessions: Iterable[str] = (),
        batches: Iterable[str] = (),
    ) -> Targets:
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

    def in_bin(self, before: dt.datetime | None) -> Targets:
        content = {
            owner: tuple(
                marked_id
                for marked_id, mark in marks.items()
                if mark.deleted is not None
                and not mark.erased
                and (before is None or mark.deleted < before)
            )
            for owner, marks in self._marks.all().items()
        }
        return {owner: ids for owner, ids in content.items() if ids}

    def of_owner(self, owner: str) -> Targets:
        """
        Return all that belongs to an owner and what is left of it, whatever its state.
        """
        if not self.sees(owner):
            raise NotFoundError("A studio with owner= erases that owner and no other.", owner)
        own = self.view.seen_by(owner)
        for _, intent in open_intents(self.facts):
            if intent.turn.owner == owner:
                raise InvalidRequestError(
                    f"The request {intent.turn.id} of this owner is under way. Wait for it with "
                    "studio.recover(), or cancel it or its batch, then erase the owner."
                )
        keys = own.index.turns()
        sessions = {*own.index.sessions(), *own.index.sessions(deleted=True)}
        found: dict[str, tuple[str, ...]] = {session: (session,) for session in sessions}
        found |= {key.session: (key.session,) for key in keys if key.session is not None}
        for turn in read_turns(self.facts, (key for key in keys if key.session is None)):
            found[turn.id] = tuple(image.id for image in turn.images) or (turn.id,)
        kept = BatchStore(own)
        batches = (*kept.list(), *kept.list(deleted=True))
        return found | {batch.id: (batch.id,) for batch in batches}

    def older_than(self, date: dt.datetime) -> Targets:
        """
        Return what is older than a time: sessions in which nothing happened since and nothing has a
        star, as a whole; and of others, and of standalone turns, each image without a star.
        """
        start = first_id(date)
        busy = {key.session or key.id for key, _ in open_intents(self.facts)}
        turns: defaultdict[str | None, list[Turn]] = defaultdict(list)
        for turn in read_turns(self.facts, self.index.turns(before=start)):
            turns[turn.session].append(turn)
        found: dict[str, tuple[str, ...]] = {}
        for turn in turns.pop(None, ()):
            found[turn.id] = tuple(_without_star(turn, self._marks.of(turn.id)))
        for session, old in turns.items():
            marks = self._marks.of(session or "")
            found[session or ""] = tuple(
                wanted for turn in old for wanted in _without_star(turn, marks)
            )
        found |= {session: (session,) for session in self._idle_sessions(date)}
        found |= {batch: (batch,) for batch in self._old_batches(date)}
        return {owner: ids for owner, ids in found.items() if ids and owner not in busy}

    def _idle_sessions(self, date: dt.datetime) -> Iterator[str]:
        start = first_id(date)
        index = self.index
        for session in (
            *index.sessions(before=start),
            *index.sessions(before=start, deleted=True),
        ):
            record = self._sessions.read(session)
            is_starred = any(mark.starred for mark in self._marks.of(session).values())
            if record is not None and not is_starred and self._sessions.activity(record) < date:
                yield session

    def _old_batches(self, date: dt.datetime) -> Iterator[str]:
        for batch in (*self._batches.list(), *self._batches.list(deleted=True)):
            if batch.settled and batch.created < date:
                yield batch.id

    def _find_turn(self, wanted: str) -> tuple[Turn, tuple[str, ...]]:
        sessions = self.index.sessions_of((wanted,)) if is_id(wanted) else {}
        key = Key("turn", wanted, sessions.get(wanted))
        if wanted in sessions and self.facts.has(key):
            turn = read_turn(self.facts, key)
            return turn, tuple(image.id for image in turn.images) or (turn.id,)
        turn, position = self._images.find_recorded(wanted)
        return turn, (turn.images[position].id,)

    def _check_removable(self, verb: Verb, turn: Turn) -> None:
        session = turn.session or ""
        if verb != "erase" and is_deleted(self._marks.of(session) if session else {}, session):
            record = self._sessions.read(session)
            if record is not None:
                self._sessions.check_present(record)

    def _in_state(
        self, verb: Verb, turn: Turn, ids: tuple[str, ...], wanted: str
    ) -> tuple[str, ...]:
        marks = self._marks.of(turn.session or turn.id)
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
        record = self._sessions.read(wanted) if is_id(wanted) else None
        if record is None and verb != "delete":
            named = [
                item for item in self._sessions.list(deleted=True) if wanted in {item.id, item.name}
            ]
            record = named[0] if named else None
        if record is None:
            record = self._sessions.find(wanted)
        mark = self._marks.of(record.id).get(record.id, UNMARKED)
        if not mark.erased and _is_next(verb, mark):
            return record.id
        if verb == "restore" and not mark.erased:
            raise InvalidRequestError(
                f"Session {record.id} is not in the bin; there is nothing to restore."
            )
        self._sessions.check_present(record)
        raise AssertionError(verb)

    def _batch_targets(self, verb: Verb, wanted: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        record = self._batches.find(wanted, deleted=verb != "delete")
        if not record.settled:
            raise InvalidRequestError(
                f"The batch {record.id} is not settled. Collect it with results(), or cancel it "
                "first."
            )
        if not _is_next(verb, self._marks.of(record.id).get(record.id, UNMARKED)):
            raise InvalidRequestError(f"The batch {record.id} is not in the bin.")
        yield record.id, (record.id,)
        for item in record.items:
            key = Key("turn", item.turn, item.session)
            if item.asked and self.facts.has(key):
                turn = read_turn(self.facts, key)
                ids = tuple(image.id for image in turn.images) or (turn.id,)
                marks = self._marks.of(turn.session or turn.id)
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


def _without_star(turn: Turn, marks: Marks) -> Collection[str]:
    if not turn.images:
        return (turn.id,)
    return [image.id for image in turn.images if not marks.get(image.id, UNMARKED).starred]
