"""
Leases of intents that are not settled: who owns them, and how another owner takes them over.
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
    The right to work on an intent, from its writing until it is settled or released.

    If a call is interrupted before it receives its lease, nothing can release it. So a lease
    expires when it is garbage-collected, and its library may take the intent over.

    Attributes:
        library: The library that holds the intent.
        turn: The pending turn.
        token: Distinguishes this lease from a later one of the same turn.
    """

    library: IntentLeases = attrs.field(repr=False)
    turn: Turn
    token: object = attrs.field(factory=object, repr=False)

    def release(self) -> None:
        """
        Release the lease; if the intent is not settled, any library may take it over from now on.
        """
        self.library.release_lease(self)

    def __del__(self) -> None:
        self.library.expire_lease(self)


class IntentLeases(StoreBase):
    """
    The part of a library that knows the unsettled intents.
    """

    def _lease(self, turn: Turn) -> IntentLease:
        lease = IntentLease(self, turn)
        self._leases[turn.id] = lease.token
        return lease

    def expire_lease(self, lease: IntentLease) -> bool:
        """
        Invalidate a lease in memory; tell whether it was valid until now.
        """
        was_valid = self._leases.get(lease.turn.id) is lease.token
        if was_valid:
            del self._leases[lease.turn.id]
        return was_valid

    def close(self) -> None:
        """
        Own no intents any more, unless a lease is still held; the library stays usable.
        """
        if not self._leases:
            self._processes.unregister()

    def release_lease(self, lease: IntentLease) -> None:
        """
        Record that an intent has no owner any more, unless it is settled.
        """
        turn = lease.turn
        if not self.expire_lease(lease):
            return
        entry = Entry(turn_id=turn.id, session_id=turn.session)
        # If this fails, the owner counts as dead at the latest when this process has ended.
        with contextlib.suppress(OSError):
            if self._is_open(entry):
                if turn.id in self._unwritten_response_ids:
                    self._journal.append_response_id(turn, self._unwritten_response_ids[turn.id])
                self._journal.append_owner(turn, None)
            self._unwritten_response_ids.pop(turn.id, None)

    def pending(self) -> tuple[PendingRequest, ...]:
        """
        Return the intents that are not settled, the oldest first.
        """
        with translate_os_errors(self.layout.journal):
            return tuple(self._pending())

    def unsettled_turns(self, turn_ids: Collection[str]) -> tuple[Turn, ...]:
        """
        Return those of some standalone turns that are in the journal and not settled.
        """
        with translate_os_errors(self.layout.journal):
            entries = (Entry(turn_id=turn_id, session_id=None) for turn_id in sorted(turn_ids))
            intents = (self._journal.read(entry) for entry in entries if self._is_open(entry))
            return tuple(intent.turn for intent in intents if intent is not None)

    def orphaned_intents(self) -> tuple[PendingRequest, ...]:
        """
        Return the orphaned intents on the first call, and nothing later.
        """
        if self._orphans_listed:
            return ()
        self._orphans_listed = True
        return tuple(request for request in self.pending() if not request.running)

    def _pending(self) -> Iterator[PendingRequest]:
        owners: set[str] = set()
        for entry in self._journal.entries():
            intent = self._journal.read(entry) if self._is_open(entry) else None
            if intent is not None and intent.turn.status != "pending":
                self._drop_unless_running(intent)
            elif intent is not None:
                owners.add(intent.owner or "")
                yield PendingRequest(
                    turn=intent.turn,
                    response_id=intent.response_id
                    or self._unwritten_response_ids.get(intent.turn.id),
                    staged=bool(intent.staged),
                    running=self._is_running(intent),
                )
        self._processes.remove_dead(owners)
        self._journal.remove_stale()

    def _drop_unless_running(self, intent: Intent) -> None:
        """
        Drop an interrupted import or promotion; its source is still there.
        """
        if not self._is_running(intent):
            self._journal.remove(intent.turn.id, intent.turn.session)

    def acquire_lease(self, turn: Turn) -> IntentLease | None:
        """
        Take over an intent without a living owner; None if it has one, or was settled meanwhile.
        """
        entry = Entry(turn_id=turn.id, session_id=turn.session)
        with translate_os_errors(self.layout.journal), self._index.locked():
            intent = self._journal.read(entry) if self._is_open(entry) else None
            # An owner settles an intent before it releases it: so check once more that it is open.
            if intent is None or self._is_running(intent) or not self._is_open(entry):
                return None
            self._journal.append_owner(turn, self._processes.current_owner())
            self._taken_over.add(turn.id)
            # Within the lock: all threads of this program have the same owner's name.
            return self._lease(turn)

    def _is_open(self, entry: Entry) -> bool:
        record = self.layout.turn_file(entry.session_id, entry.turn_id)
        intent = self.layout.journal_file(entry.turn_id, entry.session_id)
        return intent.exists() and not record.exists()

    def _is_running(self, intent: Intent) -> bool:
        if intent.turn.id in self._leases:
            return True
        if intent.owner is None or intent.owner == self._processes.name:
            return False
        return self._processes.is_alive(intent.owner)
