"""
Run many jobs concurrently, with a limit on concurrency and on the rate of starts.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any, TypeVar

import anyio
import attrs

from imagesession.errors import ImageSessionError

T = TypeVar("T")
Job = TypeVar("Job")


@attrs.define
class RateLimiter:
    """
    Hands out evenly spaced start times.

    Attributes:
        interval: Seconds from one start to the next; 0 for no limit.
    """

    interval: float = 0.0
    _next: float = attrs.field(default=0.0, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    @classmethod
    def per_minute(cls, starts: float | None) -> RateLimiter:
        """
        Make a limiter from a number of starts per minute; None for no limit.
        """
        return cls(0.0 if starts is None else 60.0 / starts)

    def reserve(self) -> float:
        """
        Reserve the next start time; return the seconds until then.
        """
        if not self.interval:
            return 0.0
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self.interval
            return start - now


def gather(
    run: Callable[[Job], T],
    jobs: Sequence[Job],
    *,
    concurrency: int,
    pace: RateLimiter,
    free: Collection[int] = (),
) -> list[T | ImageSessionError]:
    """
    Run jobs, which are started in their order; return each job's result, or its error in its place.
    The jobs at the positions `free` are exempt from the pace.
    """
    stop = threading.Event()

    def run_job(position: int, job: Job) -> T | ImageSessionError:
        try:
            if stop.wait(0.0 if position in free else pace.reserve()):
                raise CancelledError
            return run(job)
        except ImageSessionError as error:
            return error

    pool = ThreadPoolExecutor(max_workers=max(1, min(concurrency, len(jobs))))
    try:
        # Each job in the caller's context, so that what it logs and traces belongs to the caller.
        running = [
            pool.submit(contextvars.copy_context().run, run_job, position, job)
            for position, job in enumerate(jobs)
        ]
        return [job.result() for job in running]
    finally:
        # On Ctrl-C no more jobs are started; running ones are paid for, so they finish.
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


async def gather_async(
    run: Callable[[Job], Coroutine[Any, Any, T]],
    jobs: Sequence[Job],
    *,
    concurrency: int,
    pace: RateLimiter,
    free: Collection[int] = (),
) -> list[T | ImageSessionError]:
    """
    Same as `gather`, but awaits.
    """
    results: dict[int, T | ImageSessionError] = {}
    limiter = anyio.CapacityLimiter(max(1, concurrency))

    async def run_job(position: int, job: Job) -> None:
        async with limiter:
            try:
                await anyio.sleep(0.0 if position in free else pace.reserve())
                results[position] = await run(job)
            except ImageSessionError as error:
                results[position] = error

    async with anyio.create_task_group() as group:
        for position, job in enumerate(jobs):
            group.start_soon(run_job, position, job)
    return [results[position] for position in range(len(jobs))]
