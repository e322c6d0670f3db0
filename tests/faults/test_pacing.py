"""
All programs on a library share one limit of concurrent requests, and each gets its share.
"""

from __future__ import annotations

import asyncio
import collections
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagesession import AsyncStudio, Studio
from imagesession.errors import InvalidRequestError, RateLimitError
from imagesession.testing import FakeRequest, FakeResponse, serve, tiny_image
from tests.bench.server import FixedSketcher
from tests.clock import DAY, HoldingProvider
from tests.conftest import MakeStudio
from tests.faults.pace import HANG

# Programs start together, once all of them have imported what they need.
PROGRAM = """
import sys, time
from pathlib import Path
from imagesession import Studio
library, url, name, count, together = sys.argv[1:]
with Studio(library, api_key="x", base_url=url, max_concurrency=2) as studio:
    studio.stats()
    studio._connect()
    Path(library, f"{name}.ready").touch()
    while len(list(Path(library).glob("*.ready"))) < int(together):
        time.sleep(0.01)
    for number in range(int(count)):
        studio.generate(f"{name} {number}")
"""


class Counter(HoldingProvider):
    """
    A provider that counts concurrent requests and records their order.

    Attributes:
        most: The largest number of concurrent requests.
        order: Their prompts, the oldest first.
    """

    def __init__(self, latency: float) -> None:
        super().__init__(sketcher=FixedSketcher(tiny_image(), (64, 64)))
        self.latency = latency
        self.most = 0
        self.order: list[str] = []
        self._ends: list[float] = []
        self._seconds = latency
        self._counting = threading.Lock()

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer a call, and count paid ones.
        """
        if (call.method, call.path) == ("POST", "/responses"):
            now = time.monotonic()
            with self._counting:
                self._ends = [*(end for end in self._ends if end > now), now + self._seconds]
                self.most = max(self.most, len(self._ends))
                self.order.append(call.json["input"][-1]["content"][-1]["text"])
        return super().handle(call)


@pytest.mark.skipif(sys.platform == "win32", reason="locks are tried there by hand")
def test_programs_share_the_concurrency_limit(tmp_path: Path) -> None:
    """
    Four programs never exceed the limit, all of them finish, and none has to wait for the end of
    the others.
    """
    provider = Counter(latency=0.2)
    with serve(provider) as served:
        programs = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(tmp_path), served.base_url, name, "6", "4"]
            )
            for name in "abcd"
        ]
        assert [program.wait(timeout=HANG) for program in programs] == [0] * 4
    assert provider.most <= 2
    lasts = {prompt[0]: at for at, prompt in enumerate(provider.order)}
    assert collections.Counter(prompt[0] for prompt in provider.order) == dict.fromkeys("abcd", 6)
    assert min(lasts.values()) >= 6


def test_slot_of_a_killed_program_is_free(tmp_path: Path) -> None:
    """
    A program that is killed during a request releases its slot.
    """
    provider = Counter(latency=HANG)
    with serve(provider) as served:
        program = [sys.executable, "-c", PROGRAM, str(tmp_path), served.base_url, "a", "1", "1"]
        children = [subprocess.Popen(program) for _ in range(2)]
        while len(provider.order) < 2:
            assert not any(child.poll() for child in children)
            time.sleep(0.01)
        for child in children:
            child.kill()
            child.wait()
        provider.latency = 0.0
        access: dict[str, Any] = {"api_key": "x", "base_url": served.base_url, "timeout": 60}
        with Studio(tmp_path, max_concurrency=2, **access) as studio:
            assert studio.generate("b").bytes


@pytest.mark.usefixtures("looking_often")
def test_tasks_share_the_concurrency_limit(tmp_path: Path) -> None:
    """
    The limit holds for the tasks of one program as well.
    """
    provider = Counter(latency=0.05)

    async def run() -> None:
        async with AsyncStudio.offline(tmp_path, provider=provider, max_concurrency=3) as studio:
            await asyncio.gather(*(studio.generate(f"x {number}") for number in range(12)))

    asyncio.run(run())
    assert provider.most <= 3
    assert len(provider.order) == 12


@pytest.mark.usefixtures("looking_often")
def test_timeout_while_waiting_for_a_slot_is_an_error(
    make_studio: MakeStudio, tmp_path: Path, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    A call that gets no slot within its timeout ends with an error, and nothing is sent for it.
    """
    provider = Counter(latency=DAY)
    provider.hold()
    with serve(provider) as served:
        access = {"online": True, "api_key": "x", "base_url": served.base_url, "max_concurrency": 1}
        patient, hasty = (make_studio(tmp_path, timeout=wait, **access) for wait in (60, 0.1))

        def second() -> None:
            while not provider.order:
                time.sleep(0.005)
            try:
                with pytest.raises(RateLimitError, match="max_concurrency=1"):
                    hasty.generate("b")
            finally:
                provider.finish()

        in_threads([lambda: patient.generate("a"), second])
    assert provider.order == ["a"]


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", True])
def test_invalid_limit_is_refused(make_studio: MakeStudio, tmp_path: Path, wrong: object) -> None:
    """
    An invalid limit is refused when the studio is made.
    """
    with pytest.raises(InvalidRequestError, match="max_concurrency="):
        make_studio(tmp_path, max_concurrency=wrong)


def test_missing_wait_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The check works: without waiting, the limit is exceeded.
    """

    def at_once(*_: object) -> Any:
        yield from ()

    monkeypatch.setattr("imagesession._engine.generation.acquire_slot", at_once)
    provider = Counter(latency=DAY)
    provider.hold(until=4)

    async def run() -> None:
        async with AsyncStudio.offline(tmp_path, provider=provider, max_concurrency=1) as studio:
            await asyncio.gather(*(studio.generate(f"x {number}") for number in range(4)))

    asyncio.run(run())
    assert provider.most > 1
