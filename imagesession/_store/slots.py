"""
Limit the concurrent requests of all programs on a library: a slot is a right with as many places as
a provider is given.

The calls of one process queue in memory, first come, first served. Only the first in the queue
asks for a slot, and none does if this process holds all of them. A call that ends passes its slot
to the first in the queue. After a second of being passed on, a slot is released to other programs.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from concurrent.futures import Future
from weakref import ref

import attrs

from .ports import Lease, Rights

_PASS_ON_SECONDS = 1.0


@attrs.frozen(eq=False)
class ConcurrencySlot:
    """
    A slot that this process holds.
    """

    lease: Lease
    acquired_at: float = attrs.field(factory=time.monotonic)


@attrs.define(eq=False)
class QueuedSlot:
    """
    A call's place in the queue for a slot, and then the slot.
    """

    queue: SlotQueue = attrs.field(repr=False)
    rights: Rights = attrs.field(repr=False)
    slot: ConcurrencySlot | None = attrs.field(default=None, init=False)
    signalled: Future[None] = attrs.field(factory=Future[None], init=False, repr=False)

    @property
    def is_held(self) -> bool:
        return self.slot is not None

    @property
    def is_first(self) -> bool:
        return self.queue.is_first(self)

    @property
    def may_try(self) -> bool:
        return self.queue.may_try(self)

    def try_acquire(self) -> bool:
        self.queue.try_acquire(self)
        return self.is_held

    def signal(self) -> Future[None]:
        """
        Return a future that is done once the call gets a slot or becomes the first in the queue.
        """
        self.signalled = Future()
        return self.signalled

    def release(self) -> None:
        self.queue.leave(self)

    def notify(self) -> None:
        if not self.signalled.done():
            self.signalled.set_result(None)

    def __del__(self) -> None:
        self.release()


class SlotQueue:
    """
    The calls of this process that wait for a slot.
    """

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._held = 0
        # Weak: a call that was interrupted before it received its place must not block others.
        self._waiting: deque[ref[QueuedSlot]] = deque()
        # Reentrant: such a call leaves when it is garbage-collected, maybe within a method here.
        self._lock = threading.RLock()

    def join(self, rights: Rights) -> QueuedSlot:
        call = QueuedSlot(self, rights)
        with self._lock:
            self._waiting.append(ref(call))
        return call

    def is_first(self, call: QueuedSlot) -> bool:
        with self._lock:
            return self._first() is call

    def may_try(self, call: QueuedSlot) -> bool:
        """
        Tell whether a call is the first, and this process does not hold all slots.
        """
        with self._lock:
            return self.is_first(call) and self._held < self._count

    def try_acquire(self, call: QueuedSlot) -> None:
        lease = call.rights.hold(self._name, self._count)
        if lease is None:
            return
        slot = ConcurrencySlot(lease)
        with self._lock:
            # It may have got a slot meanwhile, or have left.
            if self.is_first(call):
                self._held += 1
                self._pass_to_first(call, slot)
                return
        slot.lease.release()

    def leave(self, call: QueuedSlot) -> None:
        """
        Remove a call; pass its slot to the first in the queue, if it had one.
        """
        with self._lock:
            slot, call.slot = call.slot, None
            if slot is None:
                self._remove(call)
                return
            first = self._first()
            if first is not None and time.monotonic() < slot.acquired_at + _PASS_ON_SECONDS:
                self._pass_to_first(first, slot)
                return
            self._held -= 1
        slot.lease.release()

    def abandon(self) -> None:
        """
        Forget all calls, in a fork: they belong to the parent process.
        """
        self._lock = threading.RLock()
        self._waiting.clear()
        self._held = 0

    def _first(self) -> QueuedSlot | None:
        while self._waiting:
            call = self._waiting[0]()
            if call is not None:
                return call
            self._waiting.popleft()
        return None

    def _pass_to_first(self, first: QueuedSlot, slot: ConcurrencySlot) -> None:
        first.slot = slot
        first.notify()
        self._remove(first)

    def _remove(self, call: QueuedSlot) -> None:
        """
        Remove a call from the queue, and notify the new first one.
        """
        if self._waiting and self._waiting[0]() is call:
            self._waiting.popleft()
        else:
            self._waiting = deque(each for each in self._waiting if each() not in {None, call})
        first = self._first()
        if first is not None:
            first.notify()


_queues: dict[tuple[str, str, int], SlotQueue] = {}


def queue(library: str, name: str, count: int) -> SlotQueue:
    return _queues.setdefault((library, name, count), SlotQueue(name, count))


def _abandon_all() -> None:
    for each in _queues.values():
        each.abandon()
    _queues.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
