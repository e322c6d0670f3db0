"""
What goes as a whole: all that belongs to an owner, or is older than an age.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator

from imagesession._domain.marks import UNMARKED, Marks
from imagesession._domain.removal import Targets
from imagesession._domain.turn import Turn
from imagesession.errors import InvalidRequestError, NotFoundError

from .ids import first_id
from .records import open_intents, read_turns
from .removals import RemovalStore


class RetentionStore(RemovalStore):
    """
    The part of a library that finds what goes as a whole.
    """

    def all_marks(self) -> dict[str, Marks]:
        """
        Return the marks of all that is seen and has any, by session, batch or standalone turn.
        """
        marks = super().all_marks()
        if self.owner is None:
            return marks
        turns = self.index.sessions_of(marks)
        return {
            marked: found
            for marked, found in marks.items()
            if marked in turns or self.read_session(marked) or self.read_batch(marked)
        }

    def content_of(self, owner: str) -> Targets:
        """
        Return all that belongs to an owner and what is left of it, whatever its state.

        Raises:
            NotFoundError: This store is another owner's.
            InvalidRequestError: A request of the owner is under way.
        """
        if not self.sees(owner):
            raise NotFoundError("A studio with owner= erases that owner and no other.", owner)
        own = self.seen_by(owner)
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
        batches = (*own.list_batches(), *own.list_batches(deleted=True))
        return found | {batch.id: (batch.id,) for batch in batches}

    def drop_queues(self, owner: str) -> None:
        """
        Remove the queued requests of an owner.
        """
        self.ports.drop_queues(owner)

    def content_before(self, date: dt.datetime) -> Targets:
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
            found[turn.id] = tuple(_without_star(turn, self.marks(turn.id)))
        for session, old in turns.items():
            marks = self.marks(session or "")
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
            record = self.read_session(session)
            is_starred = any(mark.starred for mark in self.marks(session).values())
            if record is not None and not is_starred and self.activity(record) < date:
                yield session

    def _old_batches(self, date: dt.datetime) -> Iterator[str]:
        for batch in (*self.list_batches(), *self.list_batches(deleted=True)):
            if batch.settled and batch.created < date:
                yield batch.id


def _without_star(turn: Turn, marks: Marks) -> Collection[str]:
    """
    Return the ids of a turn's images that have no star, or of a turn without images its own.
    """
    if not turn.images:
        return (turn.id,)
    return [image.id for image in turn.images if not marks.get(image.id, UNMARKED).starred]
