"""
Studios of both twins over a faulty provider, in this process and over loopback; and the requests
that the provider received for each prompt.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import httpx2
import openai

from imagesession import AsyncStudio, Studio
from imagesession.testing import AsyncFakeTransport, FakeOpenAI, FakeTransport, serve

IN_PROCESS, LOOPBACK = "in this process", "over loopback"
# Faults after which it is unknown whether the request was executed.
AMBIGUOUS = (
    "500",
    "529",
    "reset-before-response",
    "reset-within-response",
    "reset-after-response",
    "no-response",
    "slow",
)
_URL = "http://offline/v1"


@attrs.frozen(kw_only=True)
class Ending:
    """
    The outcome of a call.

    Attributes:
        picture: The image's bytes.
        error: The error, if there is no image.
        seconds: The duration in seconds.
    """

    picture: bytes | None = None
    error: BaseException | None = None
    seconds: float


@contextlib.contextmanager
def clients(
    provider: FakeOpenAI, where: str
) -> Generator[tuple[openai.OpenAI, Callable[[], openai.AsyncOpenAI]], None, None]:
    """
    Make clients of both twins for a provider.
    """
    with contextlib.ExitStack() as stack:
        if where == LOOPBACK:
            url = stack.enter_context(serve(provider)).base_url
            client = stack.enter_context(openai.OpenAI(api_key="x", base_url=url))
            yield client, lambda: openai.AsyncOpenAI(api_key="x", base_url=url)
            return
        http_client = httpx2.Client(transport=FakeTransport(provider))
        client = openai.OpenAI(api_key="x", base_url=_URL, http_client=http_client)
        stack.enter_context(client)

        def make() -> openai.AsyncOpenAI:
            http = httpx2.AsyncClient(transport=AsyncFakeTransport(provider))
            return openai.AsyncOpenAI(api_key="x", base_url=_URL, http_client=http)

        yield client, make


def call_all(
    provider: FakeOpenAI, where: str, library: Path, prompts: Sequence[str], **settings: Any
) -> dict[str, Ending]:
    """
    Generate images with both twins: one half from threads, the other in an event loop. Every third
    is streamed.

    Args:
        provider: The provider.
        where: Whether it is in this process or served over loopback.
        library: The library's folder.
        prompts: The prompts, each requested once.
        **settings: The studios' settings; and `workers`, the number of concurrent calls per twin.
            With one worker, the twins take turns too.
    """
    workers = settings.pop("workers", 8)
    with clients(provider, where) as (client, make), ThreadPoolExecutor(workers) as threads:
        studio = Studio(library, client=client, **settings)
        half = len(prompts) // 2
        ending: Iterable[Ending]
        ending = threads.map(functools.partial(_call, studio), range(half), prompts[:half])
        if workers == 1:
            ending = list(ending)
        rest = asyncio.run(_call_async(library, make, prompts[half:], workers, settings))
        return dict(zip(prompts, (*ending, *rest), strict=True))


def _call(studio: Studio, number: int, prompt: str) -> Ending:
    start = time.monotonic()
    try:
        image: Any = studio.generate(prompt) if number % 3 else list(studio.stream(prompt))[-1]
    except BaseException as error:  # noqa: BLE001 - it is the outcome
        return Ending(error=error, seconds=time.monotonic() - start)
    return Ending(picture=image.bytes, seconds=time.monotonic() - start)


async def _call_async(
    library: Path,
    make: Callable[[], openai.AsyncOpenAI],
    prompts: Sequence[str],
    workers: int,
    settings: dict[str, Any],
) -> list[Ending]:
    free = asyncio.Semaphore(workers)
    async with make() as client:
        studio = AsyncStudio(library, client=client, **settings)

        async def call(number: int, prompt: str) -> Ending:
            async with free:
                return await _generate_async(studio, number, prompt)

        return await asyncio.gather(*(call(*item) for item in enumerate(prompts)))


async def _generate_async(studio: AsyncStudio, number: int, prompt: str) -> Ending:
    start = time.monotonic()
    try:
        image: Any = None
        if number % 3:
            image = await studio.generate(prompt)
        else:
            async for image in studio.stream(prompt):  # noqa: B007 - the last one counts
                pass
    except BaseException as error:  # noqa: BLE001 - it is the outcome
        return Ending(error=error, seconds=time.monotonic() - start)
    return Ending(picture=image.bytes, seconds=time.monotonic() - start)


def faults_met(provider: FakeOpenAI, path: str = "/responses") -> dict[str, list[str | None]]:
    """
    Return the faults of the paid requests for each prompt, the oldest first; None for no fault.
    """
    faults: dict[str, list[str | None]] = {}
    for call in provider.requests:
        if (call.method, call.path) == ("POST", path):
            body: Any = call.body
            text = body["prompt"] if "prompt" in body else body["input"][-1]["content"][-1]["text"]
            faults.setdefault(text, []).append(call.fault)
    return faults
