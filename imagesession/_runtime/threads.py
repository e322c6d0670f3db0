"""
What the async driver needs of an event loop: threads for the disk, a gate for what is fetched, and
a way to see something through although its task is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import anyio

T = TypeVar("T")
_WRITE_THREADS = 8
_READ_THREADS = 4
# A picture that is fetched takes several times its size until it is on the disk.
_FETCHED_AT_ONCE = 32

_Pools: TypeAlias = WeakKeyDictionary[asyncio.AbstractEventLoop, ThreadPoolExecutor]
_write_threads: _Pools = WeakKeyDictionary()
_read_threads: _Pools = WeakKeyDictionary()
_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def fetch_gate() -> asyncio.Semaphore:
    """
    Return what keeps a crowd from fetching all of its pictures into memory at once.
    """
    return _gates.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_FETCHED_AT_ONCE))


def in_thread(work: Callable[[], T], *, looking: bool) -> asyncio.Future[T]:
    """
    Work with the disk while the event loop goes on.

    The disk has a few threads of its own in each loop. They mostly wait for it to flush, so they
    must not use up those that everything else in the loop shares; and what was begun there is
    carried through, whatever becomes of the task that began it.

    Args:
        work: What to do.
        looking: Whether something is looked up; that does not wait behind pictures that are kept.
    """
    loop, pools = asyncio.get_running_loop(), _read_threads if looking else _write_threads
    if loop not in pools:
        count, what = (_READ_THREADS, "look") if looking else (_WRITE_THREADS, "disk")
        pools[loop] = ThreadPoolExecutor(count, f"imagesession {what}")
    return loop.run_in_executor(pools[loop], work)


async def wait_shielded(
    work: asyncio.Future[Any], seconds: float | None = None
) -> asyncio.CancelledError | None:
    """
    Wait for what a cancellation of this task does not stop.

    A task's own `cancel()` goes through the shields of anyio, so both kinds are held back here.

    Args:
        work: What to wait for.
        seconds: How long to go on waiting when this task is cancelled; None for no limit.

    Returns:
        The cancellation that was held back, if there was one.
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
