"""
Many flows at once: in order, so many at a time, no faster than allowed, each with its own end.
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
from imagesession._runtime.concurrency import RateLimiter, gather, gather_async
from imagesession.errors import ImageSessionError, InvalidRequestError

Do = Callable[[int], object]
Gather = Callable[..., list[Any]]


def number(value: int) -> Workflow[int]:
    """
    Be a flow that knows its number.
    """
    yield from ()
    return value


def value_of(flow: Workflow[int]) -> int:
    """
    Carry out a flow that asks nothing.
    """
    try:
        next(flow)
    except StopIteration as stop:
        return int(stop.value)
    raise AssertionError


def square(value: int) -> int:
    """
    Be something to do.
    """
    return value * value


@pytest.fixture(params=["sync", "async"])
def gathering(request: pytest.FixtureRequest) -> Gather:
    """
    Gather numbered flows by either twin: `gathering(do, count, concurrency=...)`.
    """

    def sync(do: Do, count: int, **options: Any) -> list[Any]:
        flows = [number(value) for value in range(count)]
        options.setdefault("pace", RateLimiter())
        return gather(lambda flow: do(value_of(flow)), flows, **options)

    def asynchronous(do: Do, count: int, **options: Any) -> list[Any]:
        async def in_thread(flow: Workflow[Any]) -> Any:
            return await anyio.to_thread.run_sync(do, value_of(flow))

        async def run() -> list[Any]:
            flows = [number(value) for value in range(count)]
            options.setdefault("pace", RateLimiter())
            return await gather_async(in_thread, flows, **options)

        return anyio.run(run)

    return sync if request.param == "sync" else asynchronous


@pytest.mark.parametrize("count,concurrency", [(0, 1), (1, 1), (5, 1), (5, 3), (5, 64)])
def test_results_stand_in_order(gathering: Gather, count: int, concurrency: int) -> None:
    """
    However many are under way, results come in the order of the flows.
    """
    assert gathering(square, count, concurrency=concurrency) == [n * n for n in range(count)]


def test_the_last_may_be_ready_first(gathering: Gather) -> None:
    """
    Flows that end in another order than they began still give results in their own.
    """
    ended = [threading.Event() for _ in range(4)]

    def backwards(n: int) -> int:
        if n < 3:
            assert ended[n + 1].wait(10)
        ended[n].set()
        return n

    assert gathering(backwards, 4, concurrency=4) == [0, 1, 2, 3]


def test_an_error_stands_in_its_place(gathering: Gather) -> None:
    """
    An error of ours is a result; the others go on, and each end is reported.
    """
    ends: list[None] = []

    def odd_fails(n: int) -> int:
        if n % 2:
            raise InvalidRequestError(f"{n}")
        return n

    results = gathering(odd_fails, 5, concurrency=2, report=lambda: ends.append(None))
    assert [str(result) for result in results] == ["0", "1", "2", "3", "4"]
    assert [isinstance(result, ImageSessionError) for result in results] == [
        False,
        True,
        False,
        True,
        False,
    ]
    assert len(ends) == 5


@attrs.define
class Gauge:
    """
    Measures how many are under way at once; each waits until as many are as are expected.
    """

    expected: int
    most: int = 0
    begun: list[int] = attrs.field(factory=list[int])
    _now: int = attrs.field(default=0, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _together: Any = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._together = threading.Barrier(self.expected)

    def __call__(self, n: int) -> int:
        """
        Be under way.
        """
        with self._lock:
            self.begun.append(n)
            self._now += 1
            self.most = max(self.most, self._now)
        self._together.wait(timeout=10)
        with self._lock:
            self._now -= 1
        return n


@pytest.mark.parametrize("concurrency", [1, 2, 4])
def test_so_many_are_under_way(gathering: Gather, concurrency: int) -> None:
    """
    Exactly as many are under way as may be, and they are begun in order.
    """
    gauge = Gauge(concurrency)
    gathering(gauge, 8, concurrency=concurrency)
    assert gauge.most == concurrency
    rounds = [gauge.begun[start : start + concurrency] for start in range(0, 8, concurrency)]
    assert concurrency > 1 or gauge.begun == sorted(gauge.begun)
    assert set(rounds[0]) == set(range(concurrency))


@pytest.mark.parametrize("free,least", [((), 0.2), ((0,), 0.1)])
def test_starts_keep_their_distance(gathering: Gather, free: Collection[int], least: float) -> None:
    """
    Each start comes an interval after the one before; those that are free take no turn.
    """
    start = time.monotonic()
    gathering(abs, 3, concurrency=3, pace=RateLimiter(0.1), free=free)
    assert time.monotonic() - start >= least


def test_what_is_free_waits_for_nothing(gathering: Gather) -> None:
    """
    Those that may start at any time do, however long the interval.
    """
    start = time.monotonic()
    assert gathering(abs, 4, concurrency=1, pace=RateLimiter(30.0), free={0, 2, 3}) == [0, 1, 2, 3]
    assert time.monotonic() - start < 10


def test_what_waits_for_its_start_is_not_begun_after_an_interrupt() -> None:
    """
    When the main thread is interrupted, nothing is begun any more, and nothing is waited for but
    what is under way.
    """
    begun: list[int] = []

    def first_interrupts(n: int) -> int:
        begun.append(n)
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        gather(
            lambda flow: first_interrupts(value_of(flow)),
            [number(n) for n in range(6)],
            concurrency=3,
            pace=RateLimiter(30.0),
        )
    assert time.monotonic() - start < 10
    assert begun == [0]


def test_what_is_under_way_at_an_interrupt_finishes() -> None:
    """
    What was begun when the main thread is interrupted is carried to its end.
    """
    both, done = threading.Barrier(2), list[int]()

    def one_interrupts(n: int) -> int:
        both.wait(timeout=10)
        if n == 0:
            raise KeyboardInterrupt
        time.sleep(0.05)  # until the other has interrupted
        done.append(n)
        return n

    flows = [number(0), number(1)]
    with pytest.raises(KeyboardInterrupt):
        gather(
            lambda flow: one_interrupts(value_of(flow)), flows, concurrency=2, pace=RateLimiter()
        )
    assert done == [1]


@given(
    per_minute=st.floats(0.01, 1e6),
    steps=st.lists(st.floats(0, 120), min_size=1, max_size=30),
)
def test_starts_are_never_closer_than_the_interval(per_minute: float, steps: list[float]) -> None:
    """
    Whenever starts are asked for, those given out lie an interval apart or more, none in the past,
    and none later than needed.
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


def test_no_limit_is_no_wait() -> None:
    """
    Without a number of starts a minute all may start at once.
    """
    assert {RateLimiter.per_minute(None).reserve() for _ in range(5)} == {0.0}


def test_a_pace_is_kept_by_many_threads(
    in_threads: Callable[[list[Callable[[], Any]]], None],
) -> None:
    """
    Threads that ask at the same time are given different starts.
    """
    pace, waits = RateLimiter(10.0), list[float]()
    in_threads([lambda: waits.append(pace.reserve())] * 8)
    apart = sorted(waits)
    assert all(late - early > 9 for early, late in itertools.pairwise(apart))
