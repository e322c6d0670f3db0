"""
Two programs: a provider whose images contain their prompts, and a program with many sessions.

    python -m tests.faults.crowd serve
    python -m tests.faults.crowd run LIBRARY URL SESSIONS [TWIN]

The second prints its findings as JSON. A twin lacks a safeguard, and must be caught: with `mixed`,
sessions see each other's turns; with `greedy`, all images are fetched at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import time
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession import AsyncStudio
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._fake_openai.sketch import SketchState
from imagesession._runtime import threads
from imagesession._store.sessions import SessionStore
from imagesession.testing import FakeOpenAI, serve
from tests.bench.server import FixedSketcher, noise, run_module
from tests.faults.pace import HANG, Pace

SIZE = 640, 512  # a megabyte of noise
TURNS = 2
_MARK = b"Prompts\0"
_IHDR_END = 33


class RecordingSketcher(FixedSketcher):
    """
    Returns the same noise for all prompts, and writes the prompts into the image's metadata.
    """

    def render(self, state: SketchState, **_: Any) -> bytes:
        """
        Return the image, with the prompts in a text chunk.
        """
        body = b"tEXt" + _MARK + json.dumps(state.prompts).encode()
        chunk = (len(body) - 4).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)
        return self.picture[:_IHDR_END] + chunk + self.picture[_IHDR_END:]


def prompts_in(data: bytes) -> list[str]:
    """
    Return the prompts that an image contains.
    """
    start = data.index(_MARK) + len(_MARK)
    length = int.from_bytes(data[_IHDR_END : _IHDR_END + 4]) - len(_MARK)
    prompts: list[str] = json.loads(data[start : start + length])
    return prompts


@attrs.define
class Crowd:
    """
    Many concurrent sessions of one studio.

    Attributes:
        studio: The studio.
        waited: The seconds that each image took.
        mixed: Descriptions of turns and images that are in a wrong session.
    """

    studio: AsyncStudio
    waited: list[float] = attrs.field(factory=list[float])
    mixed: list[str] = attrs.field(factory=list[str])

    async def run_session(self, number: int) -> None:
        """
        Generate a session's images, and check its turns.
        """
        session = await self.studio.session(f"shop {number}", name=f"session {number}")
        prompts = [f"session {number} turn {turn}" for turn in range(TURNS)]
        for prompt in prompts:
            start = time.monotonic()
            await session.generate(prompt)
            self.waited.append(time.monotonic() - start)
        turns = await session.turns()
        if [turn.prompt for turn in turns] != prompts:
            self.mixed.append(f"{session.id} has {[turn.prompt for turn in turns]}")

    async def check_images(self, number: int) -> None:
        """
        Check that a session's images contain the session's own prompts.
        """
        session = await self.studio.open(f"session {number}")
        prompts = [f"session {number} turn {turn}" for turn in range(TURNS)]
        for depth, image in enumerate(await session.images(), 1):
            if prompts_in(image.bytes) != prompts[:depth]:
                self.mixed.append(f"{image.id} was drawn for {prompts_in(image.bytes)}")


def peak() -> int:
    """
    Return the peak memory of this process in bytes.
    """
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


async def run(library: str, url: str, sessions: int) -> dict[str, Any]:
    """
    Run many concurrent sessions; return the findings.
    """
    limits = {"max_active_sessions": 2 * sessions, "timeout": HANG, "retry_timeout": HANG}
    async with AsyncStudio(library, api_key="x", base_url=url, **limits) as studio:  # type: ignore[arg-type] # a mapping has one type for all
        crowd = Crowd(studio)
        await crowd.run_session(0)
        before = peak()
        crowd.waited.clear()
        start = time.monotonic()
        with Pace() as pace:
            await asyncio.gather(*(crowd.run_session(number) for number in range(1, sessions + 1)))
        seconds = time.monotonic() - start
        growth = peak() - before
        for number in range(sessions + 1):
            await crowd.check_images(number)
    waited = sorted(crowd.waited)
    return {
        "pictures": len(waited),
        "mixed": crowd.mixed,
        "growth": growth,
        "seconds": seconds,
        "second": pace.second,
        "median": waited[len(waited) // 2],
        "longest": waited[-1],
    }


def mix() -> None:
    """
    Let every session see the turns of the first one.
    """
    real = SessionStore.tree
    first: list[SessionRecord] = []

    def tree(store: SessionStore, record: SessionRecord) -> Tree:
        first.append(record)
        return real(store, first[0])

    pytest.MonkeyPatch().setattr(SessionStore, "tree", tree)


@contextlib.contextmanager
def served() -> Generator[str, None, None]:
    """
    Run the provider in another process; yield its base URL.
    """
    with run_module("tests.faults.crowd", "serve") as base_url:
        yield base_url


def serve_forever() -> None:
    """
    Serve until terminated.
    """
    provider = FakeOpenAI(latency=0.3, sketcher=RecordingSketcher(noise(SIZE), SIZE))
    with serve(provider) as served_provider:
        print(served_provider.base_url, flush=True)  # noqa: T201 - the answer
        time.sleep(2 * HANG)


def main() -> None:
    """
    Run one of the programs.
    """
    match sys.argv[1:]:
        case ["run", library, url, sessions, *twin]:
            if twin == ["mixed"]:
                mix()
            if twin == ["greedy"]:
                pytest.MonkeyPatch().setattr(threads, "_FETCHED_AT_ONCE", 10_000)
            found = asyncio.run(run(library, url, int(sessions)))
            print(json.dumps(found))  # noqa: T201 - the answer
        case _:
            serve_forever()


if __name__ == "__main__":
    main()
