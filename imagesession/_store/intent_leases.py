"""
Intents that are not settled: who is at them, and how somebody else may take them over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator

import attrs

from imagesession._domain.reports import PendingRequest
from imagesession._domain.turn import Turn

from .atomic_write import translate_os_errors
from .base import StoreBase
from .journal import Entry, Intent


@attrs.frozen
class IntentLease:
    """
    The right to be at an intent, from its writing until it is settled or let go of.

    Where a call is broken off before it got hold of its lease, nobody is left to let go of it; so
    a lease that nobody holds is void, and its library may take the intent over.

    Attributes:
        library: Where the intent is.
        turn: What was asked.
        token: Tells this lease from a later one of the same turn.
    """

    library: IntentLeases = attrs.field(repr=False)
    turn: Turn
    token: object = attrs.field(factory=object, repr=False)

    def release(self) -> None:
        """
        Let go of it; if it is not settled, any library may take it over from now on.
        """
        self.library.release_lease(self)

    def __del__(self) -> None:
        self.library.expire_lease(self)


class IntentLeases(StoreBase):
    """
    The part of a library that knows what is not settled.
    """

    def _lease(self, turn: Turn) -> IntentLease:
        lease = IntentLease(self, turn)
        self._at_work[turn.id] = lease.token
        return lease

    def expire_lease(self, lease: IntentLease) -> bool:
        """
        Count a lease no more; tell whether it counted until now. Nothing is written.
        """
        held = self._at_work.get(lease.turn.id) is lease.token
        if held:
            del self._at_work[lease.turn.id]
        return held

    def close(self) -> None:
        """
        Own no intents any more, unless somebody is still at one; the library stays usable.
        """
        if not self._at_work:
            self._owners.unregister()

    def release_lease(self, lease: IntentLease) -> None:
        """
        Write down that nobody is at an intent any more, unless it is settled.
        """
        turn = lease.turn
        if not self.expire_lease(lease):
            return
        entry = Entry(turn_id=turn.id, session_id=turn.session)
        # Whoever looks later sees it at the latest when this process has ended.
        with contextlib.suppress(OSError):
            if self._is_open(entry):
                if turn.id in self._unwritten:
                    self._journal.append_response_id(turn, self._unwritten[turn.id])
                self._journal.claim(turn, None)
            self._unwritten.pop(turn.id, None)

    def pending(self) -> tuple[PendingRequest, ...]:
        """
        Return the intents that are not settled, the oldest first.
        """
        with translate_os_errors(self.layout.journal):
            return tuple(self._pending())

    def unsettled_turns(self, turn_ids: Collection[str]) -> tuple[Turn, ...]:
        """
        Return those of some one-shots that stand in the journal and are not settled.
        """
        with translate_os_errors(self.layout.journal):
            entries = (Entry(turn_id=turn_id, session_id=None) for turn_id in sorted(turn_ids))
            found = (self._journal.read(entry) for entry in entries if self._is_open(entry))
            return tuple(intent.turn for intent in found if intent is not None)

    def orphaned_intents(self) -> tuple[PendingRequest, ...]:
        """
        Return what programs that were stopped have left, when asked for the first time.
        """
        if self._looked_back:
            return ()
        self._looked_back = True
        return tuple(pending for pending in self.pending() if not pending.running)

    def _pending(self) -> Iterator[PendingRequest]:
        needed: set[str] = set()
        for entry in self._journal.entries():
            intent = self._journal.read(entry) if self._is_open(entry) else None
            if intent is not None and intent.turn.status != "pending":
                self._drop_unless_running(intent)
            elif intent is not None:
                needed.add(intent.owner or "")
                yield PendingRequest(
                    turn=intent.turn,
                    response_id=intent.response_id or self._unwritten.get(intent.turn.id),
                    staged=bool(intent.staged),
                    running=self._is_running(intent),
                )
        self._owners.remove_dead(needed)
        self._journal.remove_stale()

    def _drop_unless_running(self, intent: Intent) -> None:
        """
        Forget a picture that was not brought in whole; it is still where it came from.
        """
        if not self._is_running(intent):
            self._journal.remove(intent.turn.id, intent.turn.session)

    def acquire_lease(self, turn: Turn) -> IntentLease | None:
        """
        Take over an intent that nobody is at; None if somebody is, or it was settled meanwhile.
        """
        entry = Entry(turn_id=turn.id, session_id=turn.session)
        with translate_os_errors(self.layout.journal), self._index.locked():
            intent = self._journal.read(entry) if self._is_open(entry) else None
            # Whoever was at it settles it before letting go of it: so it is looked at once more.
            if intent is None or self._is_running(intent) or not self._is_open(entry):
                return None
            self._journal.claim(turn, self._owners.current_owner())
            self._taken_over.add(turn.id)
            # Within the lock: to another thread of this program, the owner's name tells nothing.
            return self._lease(turn)

    def _is_open(self, entry: Entry) -> bool:
        settled = self.layout.turn_file(entry.session_id, entry.turn_id)
        asked = self.layout.journal_file(entry.turn_id, entry.session_id)
        return asked.exists() and not settled.exists()

    def _is_running(self, intent: Intent) -> bool:
        if intent.turn.id in self._at_work:
            return True
        if intent.owner is None or intent.owner == self._owners.name:
            return False
        return self._owners.is_alive(intent.owner)
