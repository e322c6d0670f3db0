"""
Limit the concurrent requests of all programs on a library. A slot is a lock on one of N files; the
system releases it when its process ends, even by a crash.

The calls of one process queue in memory, first come, first served. Only the first in the queue
tries the files, and none does if this process holds all slots. A call that ends passes its slot to
the first in the queue. After a second of being passed on, a slot is released to other programs.
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

_PASS_ON_SECONDS = 1.0


@attrs.define(eq=False)
class ConcurrencySlot:
    """
    A lock on one of the files.

    Attributes:
        acquired_at: When this process acquired it, by `time.monotonic`.
    """

    _descriptor: int | None = attrs.field(alias="descriptor", repr=False)
    acquired_at: float = attrs.field(factory=time.monotonic)

    def close(self) -> None:
        """
        Release the lock.
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
        Tell whether the call is the first in the queue, which is the one that tries the files.
        """
        return self._queue.is_first(self)

    @property
    def may_try(self) -> bool:
        """
        Tell whether this call should try the files, and a file may be free.
        """
        return self._queue.may_try(self)

    def try_acquire(self) -> bool:
        """
        Try to lock a file; tell whether the call has a slot now.

        Raises:
            StorageIOError: The folder cannot be used.
        """
        self._queue.try_acquire(self)
        return self.is_held

    def signal(self) -> Future[None]:
        """
        Return a future that is done once the call gets a slot or becomes the first in the queue.
        """
        self._signal = Future()
        return self._signal

    def release(self) -> None:
        """
        Leave the queue, or pass the slot to another call.
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
        Replace the call's slot, and return the previous one.
        """
        previous, self._slot = self._slot, slot
        return previous

    def __del__(self) -> None:
        self.release()


class SlotQueue:
    """
    The calls of this process that wait for a slot.

    Args:
        folder: The folder of the lock files.
        count: The number of slots.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count
        self._held = 0
        # Weak: a call that was interrupted before it received its place must not block others.
        self._waiting: deque[ref[QueuedSlot]] = deque()
        # Reentrant: such a call leaves when it is garbage-collected, maybe within a method here.
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
        Tell whether a call is the first, and this process does not hold all slots.
        """
        with self._lock:
            return self.is_first(call) and self._held < self._count

    def try_acquire(self, call: QueuedSlot) -> None:
        """
        Acquire a free slot for a call, if there is one.
        """
        slot = acquire(self._folder, self._count)
        if slot is None:
            return
        with self._lock:
            # It may have got a slot meanwhile, or have left.
            if self.is_first(call):
                self._held += 1
                self._pass_to_first(call, slot)
                return
        slot.close()

    def leave(self, call: QueuedSlot) -> None:
        """
        Remove a call; pass its slot to the first in the queue, if it had one.
        """
        with self._lock:
            slot = call.pass_on(None)
            if slot is None:
                self._remove(call)
                return
            first = self._first()
            if first is not None and time.monotonic() < slot.acquired_at + _PASS_ON_SECONDS:
                self._pass_to_first(first, slot)
                return
            self._held -= 1
        slot.close()

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
        """
        Give the first in the queue a slot.
        """
        first.pass_on(slot)
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


_queues: dict[tuple[Path, int], SlotQueue] = {}
_held_slots: WeakSet[ConcurrencySlot] = WeakSet()


def queue(folder: Path, count: int) -> SlotQueue:
    """
    Return the queue of this process for a folder's slots.
    """
    return _queues.setdefault((folder, count), SlotQueue(folder, count))


def acquire(folder: Path, count: int) -> ConcurrencySlot | None:
    """
    Acquire any free slot; None if all are taken.

    Args:
        folder: The folder of the lock files.
        count: The number of slots.

    Raises:
        StorageIOError: The folder cannot be used.
    """
    with translate_os_errors(folder):
        ensure_dir(folder)
        # A random start, so that concurrent callers do not all try the same file.
        first = random.randrange(count)  # noqa: S311 - not a secret
        for number in range(count):
            file = folder / str((first + number) % count)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
            # On a file system without locks, there is no limit.
            if try_lock(descriptor) is not False:
                slot = ConcurrencySlot(descriptor)
                _held_slots.add(slot)
                return slot
            os.close(descriptor)
    return None


def _abandon_all() -> None:
    """
    Close the parent's slots in a fork: a lock lasts as long as any process has its file open.
    """
    for slot in _held_slots:
        slot.close()
    for each in _queues.values():
        each.abandon()
    _held_slots.clear()
    _queues.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
