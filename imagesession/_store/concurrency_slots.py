"""
How many requests all programs on a library may have under way: each holds a lock on one of so many
files, and the system lets go of it at the moment of death, however that came about.

The calls of one process queue in memory, first come, first served, and only the first of them asks
the disk, unless this process has all slots itself. A call that ends hands its slot to the first in
the queue. A slot that went from call to call for a while is given back to the disk, where other
programs ask for it too.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from weakref import WeakSet, ref

import attrs

from .atomic_write import PRIVATE_FILE, ensure_dir, translate_os_errors
from .process_locks import try_lock

_HANDED_ON_SECONDS = 1.0


@attrs.define(eq=False)
class ConcurrencySlot:
    """
    A lock on one of the files.

    Attributes:
        taken: When this process took it, by a clock that never runs backwards.
    """

    _descriptor: int | None = attrs.field(alias="descriptor", repr=False)
    taken: float = attrs.field(factory=time.monotonic)

    def close(self) -> None:
        """
        Let go of the lock.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def __del__(self) -> None:
        self.close()


@attrs.define(eq=False)
class QueuedSlot:
    """
    A call's place in the queue for a slot, and then the slot.
    """

    _queue: SlotQueue = attrs.field(alias="queue", repr=False)
    _slot: ConcurrencySlot | None = attrs.field(default=None, init=False)
    _signal: Future[None] = attrs.field(factory=Future[None], init=False, repr=False)

    @property
    def is_held(self) -> bool:
        """
        Tell whether the call has a slot.
        """
        return self._slot is not None

    @property
    def is_first(self) -> bool:
        """
        Tell whether the call is the first in the queue, which is the one that asks the disk.
        """
        return self._queue.is_first(self)

    @property
    def may_try(self) -> bool:
        """
        Tell whether it is this call that asks the disk, and the disk may have a slot.
        """
        return self._queue.may_try(self)

    def try_acquire(self) -> bool:
        """
        Ask the disk for a slot; tell whether the call has one now.

        Raises:
            StorageIOError: The folder cannot be used.
        """
        self._queue.try_acquire(self)
        return self.is_held

    def signal(self) -> Future[None]:
        """
        Return what is done once the call is handed a slot, or is the first in the queue.
        """
        self._signal = Future()
        return self._signal

    def release(self) -> None:
        """
        Leave the queue, or let another call have the slot.
        """
        self._queue.leave(self)

    def notify(self) -> None:
        """
        Wake the call up.
        """
        if not self._signal.done():
            self._signal.set_result(None)

    def pass_on(self, slot: ConcurrencySlot | None) -> ConcurrencySlot | None:
        """
        Put a slot in place of the one that the call has, and return that.
        """
        before, self._slot = self._slot, slot
        return before

    def __del__(self) -> None:
        self.release()


class SlotQueue:
    """
    The calls of this process that want a slot.

    Args:
        folder: Where the files are.
        count: How many slots there are.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count
        self._held = 0
        # Weakly: a call that was broken off before it got hold of its place is not waited for.
        self._waiting: deque[ref[QueuedSlot]] = deque()
        # Reentrant: such a call leaves when its memory is freed, which may be within a method here.
        self._lock = threading.RLock()

    def join(self) -> QueuedSlot:
        """
        Queue another call.
        """
        call = QueuedSlot(self)
        with self._lock:
            self._waiting.append(ref(call))
        return call

    def is_first(self, call: QueuedSlot) -> bool:
        """
        Tell whether a call is the first.
        """
        with self._lock:
            return self._first() is call

    def may_try(self, call: QueuedSlot) -> bool:
        """
        Tell whether a call is the first, and not all slots are this process's own.
        """
        with self._lock:
            return self.is_first(call) and self._held < self._count

    def try_acquire(self, call: QueuedSlot) -> None:
        """
        Take a slot from the disk for a call, if there is one.
        """
        slot = acquire(self._folder, self._count)
        if slot is None:
            return
        with self._lock:
            # It may have been handed one meanwhile, or have left.
            if self.is_first(call):
                self._held += 1
                self._give(call, slot)
                return
        slot.close()

    def leave(self, call: QueuedSlot) -> None:
        """
        Drop a call; let the first in the queue have its slot, if it had one.
        """
        with self._lock:
            slot = call.pass_on(None)
            if slot is None:
                self._drop(call)
                return
            first = self._first()
            if first is not None and time.monotonic() < slot.taken + _HANDED_ON_SECONDS:
                self._give(first, slot)
                return
            self._held -= 1
        slot.close()

    def abandon(self) -> None:
        """
        Forget all calls: they are another process's.
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

    def _give(self, first: QueuedSlot, slot: ConcurrencySlot) -> None:
        """
        Give the first in the queue a slot.
        """
        first.pass_on(slot)
        first.notify()
        self._drop(first)

    def _drop(self, call: QueuedSlot) -> None:
        """
        Take a call out of the queue, and tell the one that is the first now.
        """
        if self._waiting and self._waiting[0]() is call:
            self._waiting.popleft()
        else:
            self._waiting = deque(each for each in self._waiting if each() not in {None, call})
        first = self._first()
        if first is not None:
            first.notify()


_queues: dict[tuple[Path, int], SlotQueue] = {}
_open: WeakSet[ConcurrencySlot] = WeakSet()


def queue(folder: Path, count: int) -> SlotQueue:
    """
    Return the queue of this process for a folder's slots.
    """
    return _queues.setdefault((folder, count), SlotQueue(folder, count))


def acquire(folder: Path, count: int) -> ConcurrencySlot | None:
    """
    Take any free slot from the disk; None if all are taken.

    Args:
        folder: Where the files are.
        count: How many slots there are.

    Raises:
        StorageIOError: The folder cannot be used.
    """
    with translate_os_errors(folder):
        ensure_dir(folder)
        # Begun anywhere, so that those who look at the same moment do not all try the same one.
        first = random.randrange(count)  # noqa: S311 - nothing to guess
        for number in range(count):
            file = folder / str((first + number) % count)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
            # Where the file system knows no locks, nobody is kept waiting.
            if try_lock(descriptor) is not False:
                slot = ConcurrencySlot(descriptor)
                _open.add(slot)
                return slot
            os.close(descriptor)
    return None


def _abandon_all() -> None:
    """
    Leave a parent's slots and queues to it: a lock lasts as long as any process has it open.
    """
    for slot in _open:
        slot.close()
    for each in _queues.values():
        each.abandon()
    _open.clear()
    _queues.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
