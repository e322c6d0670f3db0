"""
Carry out many works at once: so many at a time, no faster than allowed, each with its own end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any, TypeVar

import anyio
import attrs

from imagesession.errors import ImageSessionError

T = TypeVar("T")
Work = TypeVar("Work")
Report = Callable[[], object]


@attrs.define
class RateLimiter:
    """
    Gives out times to start, evenly spaced.

    Attributes:
        interval: Seconds from one start to the next; 0 for no limit.
    """

    interval: float = 0.0
    _next: float = attrs.field(default=0.0, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    @classmethod
    def per_minute(cls, starts: float | None) -> RateLimiter:
        """
        Make a pace from a number of starts a minute; None for no limit.
        """
        return cls(0.0 if starts is None else 60.0 / starts)

    def reserve(self) -> float:
        """
        Take the next time to start; return how many seconds away it is.
        """
        if not self.interval:
            return 0.0
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self.interval
            return start - now


def no_report() -> None:
    """
    Report to nobody.
    """


def gather(
    do: Callable[[Work], T],
    works: Sequence[Work],
    *,
    concurrency: int,
    pace: RateLimiter,
    free: Collection[int] = (),
    report: Report = no_report,
) -> list[T | ImageSessionError]:
    """
    Carry out works; return each one's result, or its error in its place.

    Args:
        do: Carries out one.
        works: What to do; they are begun in this order.
        concurrency: How many at a time.
        pace: When each may start.
        free: The positions of those that may start at any time.
        report: Called when one has ended.
    """
    stop = threading.Event()

    def run_one(position: int, work: Work) -> T | ImageSessionError:
        try:
            if stop.wait(0.0 if position in free else pace.reserve()):
                raise CancelledError
            return do(work)
        except ImageSessionError as error:
            return error
        finally:
            report()

    pool = ThreadPoolExecutor(max_workers=max(1, min(concurrency, len(works))))
    try:
        return list(pool.map(run_one, range(len(works)), works))
    finally:
        # On Ctrl-C, what was not begun is not begun; what is under way is paid for, and finishes.
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


async def gather_async(
    do: Callable[[Work], Coroutine[Any, Any, T]],
    works: Sequence[Work],
    *,
    concurrency: int,
    pace: RateLimiter,
    free: Collection[int] = (),
    report: Report = no_report,
) -> list[T | ImageSessionError]:
    """
    Same as `gather`, but awaits.
    """
    results: dict[int, T | ImageSessionError] = {}
    limiter = anyio.CapacityLimiter(max(1, concurrency))

    async def run_one(position: int, work: Work) -> None:
        async with limiter:
            try:
                await anyio.sleep(0.0 if position in free else pace.reserve())
                results[position] = await do(work)
            except ImageSessionError as error:
                results[position] = error
            finally:
                report()

    async with anyio.create_task_group() as group:
        for position, work in enumerate(works):
            group.start_soon(run_one, position, work)
    return [results[position] for position in range(len(works))]
