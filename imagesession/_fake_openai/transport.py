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
        """
        Create a transport.

        Args:
            provider: The provider that answers.

        """
        self._provider = provider

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """
        Answer one request.
        """
        answer = self._provider.handle(_call(request, request.read()))
        return httpx2.Response(
            answer.status, headers=_headers(answer), stream=_Stream(answer, _ReadTimeout(request))
        )


class AsyncFakeTransport(httpx2.AsyncBaseTransport):
    """
    Same as `FakeTransport`, for `httpx2.AsyncClient`; rendering does not block the event loop.
    """

    def __init__(self, provider: Provider) -> None:
        """
        Create a transport.

        Args:
            provider: The provider that answers.

        """
        self._provider = provider

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """
        Answer one request.
        """
        call = _call(request, await request.aread())
        answer = self._provider.handle(call)  # quick: the parts are made later
        return httpx2.Response(
            answer.status,
            headers=_headers(answer),
            stream=_AsyncStream(answer, _ReadTimeout(request)),
        )


class _ReadTimeout:
    """
    Apply the client's read timeout to the delays of a response.
    """

    def __init__(self, request: httpx2.Request) -> None:
        self._request = request
        self._limit: float | None = request.extensions.get("timeout", {}).get("read")
        self._waited = 0.0

    def wait(self, seconds: float) -> float:
        """
        Return how many seconds of a delay to sleep.
        """
        left = seconds if self._limit is None else min(seconds, self._limit - self._waited)
        self._waited += seconds
        return max(0.0, left)

    def check(self) -> None:
        """
        Raise httpx2.ReadTimeout if the timeout has expired.
        """
        if self._limit is not None and self._waited > self._limit:
            raise httpx2.ReadTimeout("The read operation timed out", request=self._request)

    def arrived(self) -> None:
        """
        Restart the timeout, since data arrived.
        """
        self._waited = 0.0

    def reset(self) -> httpx2.ReadError:
        """
        Return the error for a connection that was reset.
        """
        return httpx2.ReadError("Connection reset by peer", request=self._request)


class _Stream(httpx2.SyncByteStream):
    def __init__(self, answer: FakeResponse, timeout: _ReadTimeout) -> None:
        self._answer = answer
        self._timeout = timeout

    def __iter__(self) -> Iterator[bytes]:
        for part in self._answer.parts:
            if isinstance(part, Delay):
                time.sleep(self._timeout.wait(part.seconds))
                self._timeout.check()
            elif isinstance(part, ConnectionReset):
                raise self._timeout.reset()
            else:
                self._timeout.arrived()
                yield part

    def close(self) -> None:
        self._answer.close()


class _AsyncStream(httpx2.AsyncByteStream):
    def __init__(self, answer: FakeResponse, timeout: _ReadTimeout) -> None:
        self._answer = answer
        self._timeout = timeout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._parts():
            if isinstance(part, Delay):
                await anyio.sleep(self._timeout.wait(part.seconds))
                self._timeout.check()
            elif isinstance(part, ConnectionReset):
                raise self._timeout.reset()
            else:
                self._timeout.arrived()
                yield part

    async def _parts(self) -> AsyncIterator[Part]:
        """
        Make the parts in a thread, since an image may have to be rendered: those of a plain
        response all at once, those of a stream one by one.
        """
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

    async def aclose(self) -> None:
        self._answer.close()


def _call(request: httpx2.Request, body: bytes) -> FakeRequest:
    return FakeRequest.read(
        request.method, request.url.raw_path.decode("ascii"), request.headers.items(), body
    )


def _headers(answer: FakeResponse) -> dict[str, str]:
    return dict(answer.headers)
