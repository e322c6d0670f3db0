"""
Intents: paid requests that are not settled yet, written before anything is sent.

Who works on an intent holds the right to it. What a program leaves when it ends may be taken over.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Collection, Iterator
from functools import partial

from imagesession._domain.marks import is_deleted
from imagesession._domain.reports import PendingRequest
from imagesession._domain.turn import Turn
from imagesession._engine.store import BudgetReservation
from imagesession.errors import NotFoundError, StorageError, StorageIOError

from . import admission
from .ports import FactExistsError, Key
from .records import (
    intent_fact,
    intent_key,
    is_open,
    open_intents,
    read_current_turn,
    read_intent,
    read_marks,
    read_turn,
    turn_key,
)
from .strict_reader import parse_object
from .view import IntentLease, StorePart, View

_UNACCEPTED = "unaccepted."
_A_DAY = 86_400.0


class IntentStore(StorePart):
    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._orphans_listed = False

    def write(self, turn: Turn, reservation: BudgetReservation | None = None) -> Turn | IntentLease:
        """
        Write an intent durably, if there is room for its images and the budget allows it; or return
        the turn that was completed under its idempotency key before.
        """
        self.blobs.check_room((turn,), len(self.state.leases))
        if reservation is None and turn.idempotency_key is None:
            return self.add(turn)
        with self.facts.transaction("admission"):
            completed = admission.admit(self.ports, (turn,), reservation)
            return completed.get(turn.id) or self.add(turn)

    def add(self, turn: Turn) -> IntentLease:
        """
        Write an intent, whatever it costs.
        """
        # Held first: otherwise another program could take the intent over.
        lease = self._lease(turn)
        if lease is None:
            raise StorageIOError(
                f"Another program works on a turn {turn.id}, so nothing was sent. Try again."
            )
        try:
            self.facts.put_new(dict([intent_fact(turn)]))
            # Looked at only now: who deletes the session looks for intents after marking it.
            self._check_session(turn)
        except BaseException:
            lease.release()
            raise
        return lease

    def _check_session(self, turn: Turn) -> None:
        session = turn.session or ""
        if session and is_deleted(read_marks(self.facts, session), session):
            self.discard(turn)
            raise NotFoundError(
                f"Session {session} was just deleted, so nothing was sent. Bring it back with "
                f"studio.sessions.restore({session!r}).",
                session,
            )

    def _lease(self, turn: Turn) -> IntentLease | None:
        right = self.rights.hold(_right(turn.id))
        if right is None:
            return None
        lease = IntentLease(turn, right, partial(self._write_late_response_id, turn))
        self.state.leases[turn.id] = lease
        return lease

    def acquire(self, turn: Turn) -> IntentLease | None:
        if self.rights.is_held(_right(turn.id)):
            return None
        lease = self._lease(turn)
        # An owner settles an intent before it releases it: so only now it is certainly open.
        if lease is None or not is_open(self.facts, intent_key(turn)):
            return None
        self.state.taken_over.add(turn.id)
        return lease

    def absent_since(self, turn: Turn, date: dt.datetime) -> dt.datetime:
        """
        Return when the provider first showed nothing of a request. If it never did, or later by its
        clock, that is `date`, which is recorded.
        """
        intent = read_intent(self.facts, intent_key(turn))
        since = None if intent is None else intent.absent_since
        if since is not None and since <= date:
            return since
        self.facts.extend(intent_key(turn), {"absent_since": date.isoformat()})
        return date

    def mark_unaccepted(self, turn: Turn) -> None:
        members = {"session": turn.session, "at": self.facts.now().timestamp()}
        with contextlib.suppress(StorageError):
            self.facts.replace(_mark(turn.id), json.dumps(members).encode("ascii"))

    def unaccepted(self) -> tuple[Turn, ...]:
        """
        Return the turns that were settled as not accepted within a day. A mark that is older, by
        whichever clock, is given out a last time.
        """
        return tuple(self._unaccepted())

    def _unaccepted(self) -> Iterator[Turn]:
        now = self.facts.now().timestamp()
        for key in self.facts.scan("provider"):
            if not key.id.startswith(_UNACCEPTED):
                continue
            try:
                mark = parse_object(self.facts.get(key) or b"{}")
                turn_id = key.id.removeprefix(_UNACCEPTED)
                turn = read_turn(self.facts, Key("turn", turn_id, mark["session"]))
                if not self.sees(turn.owner):
                    continue
                if not 0 <= now - float(mark["at"]) <= _A_DAY:
                    self.facts.drop(key)
            except (StorageError, LookupError, ValueError, TypeError, OverflowError):
                continue
            if turn.status == "failed":
                yield turn

    def reopen(self, turn: Turn) -> IntentLease | None:
        """
        Make a failed turn pending again, because it was carried out after all. The turn is as it
        was when its request was sent.
        """
        lease = self._lease(turn)
        if lease is None:
            return None
        with contextlib.suppress(FactExistsError):  # the index does not know yet that it failed
            self.facts.put_new(dict([intent_fact(turn)]))
        self.state.taken_over.add(turn.id)
        # If the process dies in between, the turn is failed or pending, and is looked up again.
        self.facts.drop(turn_key(turn))
        return lease

    def completed_under(self, idempotency_key: str) -> Turn | None:
        settled = self._settled_under(idempotency_key)
        return admission.completed_under_key(
            idempotency_key, (read_current_turn(self.facts, key) for key in settled)
        )

    def last_under(self, idempotency_key: str) -> Turn | None:
        turns = [read_turn(self.facts, key) for key in self._settled_under(idempotency_key)]
        return next((turn for turn in turns if turn.has_image), next(iter(turns), None))

    def _settled_under(self, idempotency_key: str) -> list[Key]:
        return self.index.settled_under((idempotency_key,), self.owner)[idempotency_key]

    def record_response_id(self, turn: Turn, response_id: str) -> None:
        """
        Record the provider's response id durably. If it cannot be written, this is tried again when
        the intent is released.
        """
        self.state.late_response_ids[turn.id] = response_id
        self.facts.extend(intent_key(turn), _ids(turn, response_id))
        # A cancelled call may have recorded it meanwhile.
        self.state.late_response_ids.pop(turn.id, None)

    def _write_late_response_id(self, turn: Turn) -> None:
        response_id = self.state.late_response_ids.get(turn.id)
        if response_id is not None:
            with contextlib.suppress(StorageError):
                if is_open(self.facts, intent_key(turn)):
                    self.facts.extend(intent_key(turn), _ids(turn, response_id))
                self.state.late_response_ids.pop(turn.id, None)

    def record_conversation(self, turn: Turn, conversation: str | None) -> None:
        self.facts.extend(intent_key(turn), {"conversation": conversation})

    def discard(self, turn: Turn) -> None:
        self.facts.drop(intent_key(turn))

    def pending(self) -> tuple[PendingRequest, ...]:
        return tuple(self._pending())

    def _pending(self) -> Iterator[PendingRequest]:
        for key, intent in open_intents(self.facts):
            if not self.sees(intent.turn.owner):
                continue
            is_running = self.rights.is_held(_right(key.id))
            if intent.turn.status == "pending":
                yield PendingRequest(
                    turn=intent.turn,
                    response_id=intent.response_id or self.state.late_response_ids.get(key.id),
                    staged=bool(intent.staged),
                    running=is_running,
                )
            elif not is_running:
                with contextlib.suppress(StorageError):  # those who only look may not
                    self.facts.drop(key)  # an interrupted import: its source is still there

    def unsettled(self, turn_ids: Collection[str]) -> tuple[Turn, ...]:
        keys = (Key("intent", turn_id) for turn_id in sorted(turn_ids))
        intents = (read_intent(self.facts, key) for key in keys if is_open(self.facts, key))
        turns = (intent.turn for intent in intents if intent is not None)
        return tuple(turn for turn in turns if self.sees(turn.owner))

    def knows(self, turn_id: str) -> bool:
        is_intended = any(key.id == turn_id for key in self.facts.scan("intent"))
        return is_intended or bool(self.ports.index.sessions_of((turn_id,)))

    def is_new(self) -> bool:
        return not self._orphans_listed

    def orphans(self) -> tuple[PendingRequest, ...]:
        if self._orphans_listed:
            return ()
        self._orphans_listed = True
        return tuple(request for request in self.pending() if not request.running)


def _mark(turn_id: str) -> Key:
    return Key("provider", f"{_UNACCEPTED}{turn_id}")


def _right(turn_id: str) -> str:
    return f"intent {turn_id}"


def _ids(turn: Turn, response_id: str) -> dict[str, str | None]:
    return {"response_id": response_id, "request_id": turn.request_id}
