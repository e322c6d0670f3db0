"""
Connect an HTTP client in the same process to the provider, in place of a network.
"""

import time
from collections.abc import AsyncIterator, Iterator

import anyio
import anyio.to_thread
import httpx2

from imagesession._fake_openai.http import (
    ConnectionReset,
    Delay,
    FakeRequest,
    FakeResponse,
    Part,
    Provider,
)


class FakeTransport(httpx2.BaseTransport):
    """
    Send the requests of an `httpx2.Client` to a provider.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return _answer(self._provider, request, request.read())


class AsyncFakeTransport(httpx2.AsyncBaseTransport):
    """
    Same as `FakeTransport`, for `httpx2.AsyncClient`; rendering does not block the event loop.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return _answer(self._provider, request, await request.aread())


def _answer(provider: Provider, request: httpx2.Request, body: bytes) -> httpx2.Response:
    target = request.url.raw_path.decode("ascii")
    call = FakeRequest.read(request.method, target, request.headers.items(), body)
    answer = provider.handle(call)  # quick: the parts are made later
    headers = dict(answer.headers)
    return httpx2.Response(answer.status, headers=headers, stream=_Stream(answer, request))


class _Stream(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    # The client's read timeout applies to the delays of a response.

    def __init__(self, answer: FakeResponse, request: httpx2.Request) -> None:
        self._answer = answer
        self._request = request
        self._limit: float | None = request.extensions.get("timeout", {}).get("read")
        self._waited = 0.0

    def __iter__(self) -> Iterator[bytes]:
        for part in self._answer.parts:
            if isinstance(part, Delay):
                time.sleep(self._count(part.seconds))
                self._check_timeout()
            else:
                yield self._data(part)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._parts():
            if isinstance(part, Delay):
                await anyio.sleep(self._count(part.seconds))
                self._check_timeout()
            else:
                yield self._data(part)

    async def _parts(self) -> AsyncIterator[Part]:
        # Make the parts in a thread, since an image may have to be rendered: those of a plain
        # response all at once, those of a stream one by one.
        if not self._answer.streams:
            for known in await anyio.to_thread.run_sync(list, self._answer.parts):
                yield known
            return
        while True:
            part: Part | None = await anyio.to_thread.run_sync(self._next)
            if part is None:
                return
            yield part

    def _next(self) -> Part | None:
        return next(self._answer.parts, None)

    def _count(self, seconds: float) -> float:
        left = seconds if self._limit is None else min(seconds, self._limit - self._waited)
        self._waited += seconds
        return max(0.0, left)

    def _check_timeout(self) -> None:
        if self._limit is not None and self._waited > self._limit:
            raise httpx2.ReadTimeout("The read operation timed out", request=self._request)

    def _data(self, part: bytes | ConnectionReset) -> bytes:
        if isinstance(part, ConnectionReset):
            raise httpx2.ReadError("Connection reset by peer", request=self._request)
        self._waited = 0.0
        return part

    def close(self) -> None:
        self._answer.close()

    async def aclose(self) -> None:
        self._answer.close()
