"""
Concurrent workflows: results in order, with limits on concurrency and on the rate of starts.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._engine.effects import Workflow
from imagesession._runtime import threads
from imagesession._runtime.concurrency import RateLimiter, gather, gather_async
from imagesession.errors import ImageSessionError, InvalidRequestError
from tests.clock import DAY

Do = Callable[[int], object]
Gather = Callable[..., list[Any]]


def number(value: int) -> Workflow[int]:
    """
    A workflow that returns its number.
    """
    yield from ()
    return value


def value_of(workflow: Workflow[int]) -> int:
    """
    Run a workflow without effects.
    """
    try:
        next(workflow)
    except StopIteration as stop:
        return int(stop.value)
    raise AssertionError


def square(value: int) -> int:
    """
    A job.
    """
    return value * value


@pytest.fixture(params=["sync", "async"])
def run_gather(request: pytest.FixtureRequest) -> Gather:
    """
    Gather numbered workflows, sync or async: `run_gather(do, count, concurrency=...)`.
    """

    def sync(do: Do, count: int, **options: Any) -> list[Any]:
        workflows = [number(value) for value in range(count)]
        options.setdefault("pace", RateLimiter())
        return gather(lambda workflow: do(value_of(workflow)), workflows, **options)

    def asynchronous(do: Do, count: int, **options: Any) -> list[Any]:
        async def run_in_thread(workflow: Workflow[Any]) -> Any:
            return await anyio.to_thread.run_sync(do, value_of(workflow))

        async def run() -> list[Any]:
            workflows = [number(value) for value in range(count)]
            options.setdefault("pace", RateLimiter())
            return await gather_async(run_in_thread, workflows, **options)

        return anyio.run(run)

    return sync if request.param == "sync" else asynchronous


@pytest.mark.parametrize("count,concurrency", [(0, 1), (1, 1), (5, 1), (5, 3), (5, 64)])
def test_results_are_in_order(run_gather: Gather, count: int, concurrency: int) -> None:
    """
    Results are in the order of the workflows, whatever the concurrency.
    """
    assert run_gather(square, count, concurrency=concurrency) == [n * n for n in range(count)]


def test_completion_order_does_not_matter(run_gather: Gather) -> None:
    """
    Workflows that end in another order still give results in their own order.
    """
    ended = [threading.Event() for _ in range(4)]

    def backwards(n: int) -> int:
        if n < 3:
            assert ended[n + 1].wait(60)
        ended[n].set()
        return n

    assert run_gather(backwards, 4, concurrency=4) == [0, 1, 2, 3]


def test_error_is_in_its_place(run_gather: Gather) -> None:
    """
    An error is a result; the other workflows continue.
    """

    def odd_fails(n: int) -> int:
        if n % 2:
            raise InvalidRequestError(f"{n}")
        return n

    results = run_gather(odd_fails, 5, concurrency=2)
    assert [str(result) for result in results] == ["0", "1", "2", "3", "4"]
    assert [isinstance(result, ImageSessionError) for result in results] == [
        False,
        True,
        False,
        True,
        False,
    ]


@attrs.define
class Gauge:
    """
    Measures the concurrency; each job waits until the expected number of jobs run.
    """

    expected: int
    most: int = 0
    started: list[int] = attrs.field(factory=list[int])
    _now: int = attrs.field(default=0, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _together: Any = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._together = threading.Barrier(self.expected)

    def __call__(self, n: int) -> int:
        """
        Run as a job.
        """
        with self._lock:
            self.started.append(n)
            self._now += 1
            self.most = max(self.most, self._now)
        self._together.wait(timeout=60)
        with self._lock:
            self._now -= 1
        return n


@pytest.mark.parametrize("concurrency", [1, 2, 4])
def test_concurrency_is_used_fully(run_gather: Gather, concurrency: int) -> None:
    """
    Exactly as many workflows run at once as are allowed, and they start in order.
    """
    gauge = Gauge(concurrency)
    run_gather(gauge, 8, concurrency=concurrency)
    assert gauge.most == concurrency
    rounds = [gauge.started[start : start + concurrency] for start in range(0, 8, concurrency)]
    assert concurrency > 1 or gauge.started == sorted(gauge.started)
    assert set(rounds[0]) == set(range(concurrency))


@pytest.mark.parametrize("free,least", [((), 0.2), ((0,), 0.1)])
def test_starts_are_spaced(run_gather: Gather, free: Collection[int], least: float) -> None:
    """
    Each start is one interval after the previous one; exempt jobs do not count.
    """
    start = time.monotonic()
    run_gather(abs, 3, concurrency=3, pace=RateLimiter(0.1), free=free)
    assert time.monotonic() - start >= least


def test_exempt_jobs_do_not_wait(run_gather: Gather) -> None:
    """
    Exempt jobs start at once, however long the interval.
    """
    start = time.monotonic()
    assert run_gather(abs, 4, concurrency=1, pace=RateLimiter(DAY), free={0, 2, 3}) == [0, 1, 2, 3]
    assert time.monotonic() - start < DAY / 2


def test_interrupt_stops_waiting_jobs() -> None:
    """
    After an interrupt no more jobs start, and only running ones are waited for.
    """
    started: list[int] = []

    def first_interrupts(n: int) -> int:
        started.append(n)
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        gather(
            lambda workflow: first_interrupts(value_of(workflow)),
            [number(n) for n in range(6)],
            concurrency=3,
            pace=RateLimiter(DAY),
        )
    assert time.monotonic() - start < DAY / 2
    assert started == [0]


def test_interrupt_lets_running_jobs_finish() -> None:
    """
    Jobs that run when the main thread is interrupted are completed.
    """
    both, done = threading.Barrier(2), list[int]()

    def one_interrupts(n: int) -> int:
        both.wait(timeout=60)
        if n == 0:
            raise KeyboardInterrupt
        time.sleep(0.05)  # until the other has interrupted
        done.append(n)
        return n

    workflows = [number(0), number(1)]
    with pytest.raises(KeyboardInterrupt):
        gather(
            lambda workflow: one_interrupts(value_of(workflow)),
            workflows,
            concurrency=2,
            pace=RateLimiter(),
        )
    assert done == [1]


@given(
    per_minute=st.floats(0.01, 1e6),
    steps=st.lists(st.floats(0, 120), min_size=1, max_size=30),
)
def test_starts_are_never_closer_than_the_interval(per_minute: float, steps: list[float]) -> None:
    """
    Reserved starts are at least one interval apart, never in the past, and never later than
    needed.
    """
    pace = RateLimiter.per_minute(per_minute)
    now, starts = 1_000.0, list[float]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now)
        for step in steps:
            now += step
            wait = pace.reserve()
            assert wait >= 0
            due = starts[-1] + 60 / per_minute if starts else now
            starts.append(now + wait)
            assert starts[-1] == pytest.approx(max(now, due))


def test_no_limit_means_no_wait() -> None:
    """
    Without a rate all jobs may start at once.
    """
    assert {RateLimiter.per_minute(None).reserve() for _ in range(5)} == {0.0}


def test_rate_limiter_is_thread_safe(
    in_threads: Callable[[list[Callable[[], Any]]], None],
) -> None:
    """
    Threads that reserve at the same time get different starts.
    """
    pace, waits = RateLimiter(10.0), list[float]()
    in_threads([lambda: waits.append(pace.reserve())] * 8)
    apart = sorted(waits)
    assert all(late - early > 9 for early, late in itertools.pairwise(apart))


@pytest.mark.anyio
async def test_image_keeps_its_place_until_its_stream_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    While a stream goes on after its image, no other image takes the place in memory; if nothing
    follows for a while, the place is given up, so that nobody waits for a stream that never ends.
    """
    monkeypatch.setattr(threads, "_FETCHED_AT_ONCE", 1)
    first, second = threads.FetchGate(), threads.FetchGate()
    await first.enter()
    with first.held():
        with anyio.move_on_after(0.05) as waiting:
            await second.enter()
    assert waiting.cancelled_caught
    monkeypatch.setattr(threads, "_STREAM_END_SECONDS", 0.01)
    with first.held():
        await second.enter()
