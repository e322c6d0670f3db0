"""
Simulated time for tests: things done some time ago, and waiting without delay.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest

from imagesession._engine import poll
from imagesession._engine.store import IdAndTime
from imagesession._fake_openai.http import Part
from imagesession._store.library import LibraryStore
from imagesession.testing import Delay, FakeOpenAI, FakeRequest, FakeResponse

DAY = 86_400.0
"""
Seconds of a wait that no test waits for: what is over within half of it did not wait.
"""


class HoldingProvider(FakeOpenAI):
    """
    Finishes no image between `hold` and `finish`, so that what happens meanwhile needs no luck.
    """

    def __init__(self, **settings: Any) -> None:
        """
        Create the provider.

        Args:
            **settings: Those of `FakeOpenAI`.
        """
        self._ahead = 0.0
        self._finish_at = 0
        super().__init__(clock=lambda: time.time() + self._ahead, **settings)

    @property
    def posts(self) -> int:
        """
        The number of requests for images.
        """
        return sum((call.method, call.path) == ("POST", "/responses") for call in self.requests)

    @property
    def submissions(self) -> int:
        """
        The number of requests for batches.
        """
        return sum((call.method, call.path) == ("POST", "/batches") for call in self.requests)

    def hold(self, until: int = 0) -> None:
        """
        Accept requests, and finish no image.

        Args:
            until: How many requests to accept before all are finished; 0 for no limit.
        """
        self.latency = DAY
        self._finish_at = self.posts + until if until else 0

    def finish(self) -> None:
        """
        Finish all images that are under way, and later ones at once.
        """
        self._ahead += 2 * DAY
        self.latency = 0.0

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer a request.
        """
        answer = super().handle(call)
        if self.latency and self.posts == self._finish_at:
            self.finish()
        return attrs.evolve(answer, parts=self._hold_parts(answer.parts))

    def _hold_parts(self, parts: Iterator[Part]) -> Iterator[Part]:
        """
        Divide each delay into short ones, which `finish` ends.
        """
        for part in parts:
            end = time.monotonic() + part.seconds if isinstance(part, Delay) else 0.0
            while self.latency and time.monotonic() < end:
                yield Delay(0.1)
            if not isinstance(part, Delay):
                yield part


@contextlib.contextmanager
def ago(span: dt.timedelta, library: Path) -> Generator[None, None, None]:
    """
    Run a block as if it happened some time ago.

    Args:
        span: How long ago it is.
        library: The library's folder; files of new sessions get the same age.
    """
    folder = library / ".imagesession" / "sessions"
    before = set(folder.glob("*.json"))
    real_time, real_begin = time.time_ns, LibraryStore.new_id

    def begin(store: LibraryStore, after: str = "") -> IdAndTime:
        begun = real_begin(store, after)
        return attrs.evolve(begun, at=begun.at - span)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: real_time() - int(span.total_seconds() * 1e9))
        patch.setattr(LibraryStore, "new_id", begin)
        yield
    then = time.time() - span.total_seconds()
    for file in set(folder.glob("*.json")) - before:
        os.utime(file, (then, then))


@contextlib.contextmanager
def hurried() -> Generator[None, None, None]:
    """
    Replace sleeping in a block by moving all clocks of this process forward.

    If several threads or tasks sleep at the same time, their times add up.
    """
    passed = 0.0
    alone = threading.Lock()
    real_monotonic, real_time = time.monotonic, time.time

    def sleep(seconds: float) -> None:
        nonlocal passed
        with alone:
            passed += seconds

    async def sleep_async(seconds: float) -> None:
        sleep(seconds)
        await anyio.lowlevel.checkpoint()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: real_monotonic() + passed)
        patch.setattr(time, "time", lambda: real_time() + passed)
        patch.setattr(time, "sleep", sleep)
        patch.setattr(anyio, "sleep", sleep_async)
        yield


def slept() -> float:
    """
    Return how far `hurried` has moved the clocks, from any start: what was waited for, without the
    time that a busy machine takes.
    """
    return time.monotonic() - time.perf_counter()


@contextlib.contextmanager
def looking_often() -> Generator[None, None, None]:
    """
    Poll ten times as often as usual in a block.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(poll, "_SHORTEST_DELAY", 0.005)
        patch.setattr(poll, "_DELAY_DIVISOR", 200)
        yield


def wait_for(condition: Callable[[], bool]) -> None:
    """
    Wait until a condition holds, which may take a minute on a busy machine.
    """
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)
