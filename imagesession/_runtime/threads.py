"""
Helpers of the async interpreter: threads for disk access, a gate for fetched images, and waiting
that survives a cancellation.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import anyio
import attrs

T = TypeVar("T")
_WRITE_THREADS = 8
_READ_THREADS = 4
# A fetched image takes several times its size in memory until it is on the disk.
_FETCHED_AT_ONCE = 32
# How long a stream may take to its end after its image, while others wait for room in memory.
_STREAM_END_SECONDS = 30.0
ARRIVING = bytes(bytearray(b"\0arriving"))
"""
Stands, by identity, for a large event of which more is to be read: it may wait for room in memory.
"""

_Pools: TypeAlias = WeakKeyDictionary[asyncio.AbstractEventLoop, ThreadPoolExecutor]
_write_threads: _Pools = WeakKeyDictionary()
_read_threads: _Pools = WeakKeyDictionary()
_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@attrs.define
class FetchGate:
    """
    A task's way through the gate that limits how many fetched images are in memory at once.
    """

    _passed: asyncio.Semaphore | None = attrs.field(default=None, init=False)

    async def enter(self) -> None:
        if self._passed is None:
            loop = asyncio.get_running_loop()
            gate = _gates.setdefault(loop, asyncio.Semaphore(_FETCHED_AT_ONCE))
            await gate.acquire()
            self._passed = gate

    def leave(self) -> None:
        """
        Let another task fetch: the fetched image is on the disk, or there was none.
        """
        if self._passed is not None:
            self._passed.release()
            self._passed = None

    @contextlib.contextmanager
    def held(self) -> Generator[None, None, None]:
        """
        Wait in a block for what follows an image without letting another task fetch one, as this
        one stays in memory; but not for ever, as nothing may follow.
        """
        impatience = asyncio.get_running_loop().call_later(_STREAM_END_SECONDS, self.leave)
        try:
            yield
        finally:
            impatience.cancel()


def run_in_thread(work: Callable[[], T], *, reading: bool) -> asyncio.Future[T]:
    """
    Access the disk without blocking the event loop.

    Each loop has a few threads for the disk. They mostly wait for flushes, so they must not use up
    the threads that everything else in the loop shares. Work that was started is completed even if
    its task is cancelled. It runs in the task's context, so that its spans belong to the task's.
    Reads have their own threads, so that they do not queue behind image writes.
    """
    loop, pools = asyncio.get_running_loop(), _read_threads if reading else _write_threads
    if loop not in pools:
        count, what = (_READ_THREADS, "look") if reading else (_WRITE_THREADS, "disk")
        pools[loop] = ThreadPoolExecutor(count, f"imagesession {what}")
    return loop.run_in_executor(pools[loop], contextvars.copy_context().run, work)


async def wait_shielded(
    work: asyncio.Future[Any], seconds: float | None = None
) -> asyncio.CancelledError | None:
    """
    Wait for work despite a cancellation of this task, which is deferred and returned; then only for
    so many seconds more, if given.

    A task's own `cancel()` passes through anyio's shields, so both kinds are caught here.
    """
    try:
        await asyncio.wait({work})
    except asyncio.CancelledError as error:
        end = None if seconds is None else time.monotonic() + seconds
        with anyio.CancelScope(shield=True):
            while not work.done() and (end is None or time.monotonic() < end):
                with contextlib.suppress(asyncio.CancelledError):
                    left = None if end is None else end - time.monotonic()
                    await asyncio.wait({work}, timeout=left)
        return error
    return None
