"""
Send requests through the openai package, of which only authentication and addressing are used.

Nothing is parsed here and nothing is retried. The package's typed parsing of a 4 MB response takes
30 ms, and it would retry a paid request after a timeout:
https://github.com/openai/openai-python#retries. Its timeouts apply to each read only, and it does
not limit the size of a response.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import anyio
import httpx2
import openai

from imagesession._engine.http import HttpRequest, HttpResponse

from .bodies import Body, EventStream, LineReader, RowStream, Stream
from .deadlines import DeadlineStream, RemainingTimeout
from .outgoing import PLAIN, call_arguments, http_client_of, plain_request, redirect_target
from .threads import ARRIVING
from .unanswered import RequestTrace, install_trace, install_trace_async, tracing, transport_errors

_ByLoop: TypeAlias = WeakKeyDictionary[asyncio.AbstractEventLoop, openai.AsyncOpenAI]
# A response of 64 MB contains an image of 48 MB, which is more than any model makes.
MAX_BODY_BYTES = 64 * 1024 * 1024
# A stream contains an image several times: as partial images, as an item, and in the last event.
MAX_STREAM_BYTES = 4 * MAX_BODY_BYTES
# So that an async request that cannot connect raises its own error, which proves it was not sent.
_GRACE = 0.1
# How long to wait for the end of a response after its last relevant event.
_DRAIN_SECONDS = 0.05


def install_deadline_backend(client: object) -> None:
    """
    Make the reads and writes of an HTTP client obey the deadline.

    There is no public hook for this. If the client's internals are not the known ones, the deadline
    is only checked between the chunks of a response.
    """
    http_client = getattr(client, "_client", client)
    mounted: dict[Any, Any] = getattr(http_client, "_mounts", {})
    for transport in (getattr(http_client, "_transport", None), *mounted.values()):
        pool = getattr(transport, "_pool", None)
        if pool is not None:
            from .deadline_backend import guard  # noqa: PLC0415 - loads HTTP/1.1

            guard(pool)


class OpenAITransport:
    def __init__(self, client: openai.OpenAI, *, owned: bool) -> None:
        install_deadline_backend(client)
        self._client = client.with_options(max_retries=0)
        install_trace(self._client)
        self.owned = owned

    def provider(self) -> str:
        """
        Return the provider's address; its ids are valid there only.
        """
        return _address(self._client.base_url)

    def base_url(self) -> str:
        return str(self._client.base_url.copy_with(userinfo=b""))

    def send(self, request: HttpRequest) -> HttpResponse:
        body, trace, deadline = Body(MAX_BODY_BYTES), RequestTrace(), _deadline(request)
        with (
            transport_errors(body.join, trace),
            contextlib.closing(self._open(request, deadline, trace)) as response,
        ):
            _read(response.iter_bytes(), body)
            return body.to_response(response)

    @contextlib.contextmanager
    def listen(
        self, request: HttpRequest
    ) -> Generator[tuple[HttpResponse, Iterator[bytes], RemainingTimeout], None, None]:
        body, trace, deadline = Body(MAX_BODY_BYTES), RequestTrace(), _deadline(request)
        with contextlib.ExitStack() as stack:
            with transport_errors(body.join, trace):
                opened = contextlib.closing(self._open(request, deadline, trace))
                response = stack.enter_context(opened)
                chunks = response.iter_bytes()
                if response.is_success and not request.rows:
                    _read(chunks, body, only_start=True)
                events: Iterator[bytes] = iter(())
                if (stream := _stream_parser(response, request, body)) is None:
                    _read(chunks, body)
                else:
                    events = _read_events(chunks, body, stream)
                answer = body.to_response(response, opened=stream is not None)
            yield answer, events, deadline
            _drain(chunks, deadline)

    def _open(
        self, request: HttpRequest, deadline: RemainingTimeout, trace: RequestTrace
    ) -> httpx2.Response:
        response = self._call(request, request.url or request.path, deadline, trace)
        if request.url is None and (target := redirect_target(response)) is not None:
            response.close()
            response = self._call(request, target, deadline, trace)
        if not response.is_closed and isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = DeadlineStream(response.stream, deadline)
        return response

    def _call(
        self, request: HttpRequest, url: str, deadline: RemainingTimeout, trace: RequestTrace
    ) -> httpx2.Response:
        call: Any = getattr(self._client, request.method.lower())
        try:
            with tracing(trace):
                response: httpx2.Response = (
                    call(
                        url,
                        cast_to=httpx2.Response,
                        **_streamed(request, openai.Stream[Any]),
                        **call_arguments(request, deadline),
                    )
                    if request.keyed
                    else http_client_of(self._client).send(
                        plain_request(request, url, deadline, trace.record), **PLAIN
                    )
                )
        except openai.APIStatusError as error:
            return error.response
        return response

    def close(self) -> None:
        if self.owned:
            self._client.close()


class AsyncOpenAITransport:
    """
    Same as `OpenAITransport`, but awaits.

    A client's connections belong to the event loop that opened them, so each loop gets its own
    client: `asyncio.run` may be called more than once.

    Args:
        owned: Whether this transport closes the clients.
    """

    def __init__(self, make: Callable[[], openai.AsyncOpenAI], *, owned: bool) -> None:
        self._make = make
        self.owned = owned
        self._spare: openai.AsyncOpenAI | None = make()
        self._base_url = self._spare.base_url
        self._clients: _ByLoop = WeakKeyDictionary()

    def _client(self) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            made, self._spare = self._spare or self._make(), None
            client = made.with_options(max_retries=0)
            install_trace_async(client)
            self._clients[loop] = client
        return self._clients[loop]

    def provider(self) -> str:
        return _address(self._base_url)

    def base_url(self) -> str:
        return str(self._base_url.copy_with(userinfo=b""))

    async def send(self, request: HttpRequest) -> HttpResponse:
        body, trace, deadline = Body(MAX_BODY_BYTES), RequestTrace(), _deadline(request)
        with transport_errors(body.join, trace), anyio.fail_after(request.timeout + _GRACE):
            opened = contextlib.aclosing(await self._open(request, deadline, trace))
            async with opened as response:
                await _read_async(response.aiter_bytes(), body)
                return body.to_response(response)
        raise AssertionError("fail_after raises when its scope is cancelled")

    @contextlib.asynccontextmanager
    async def listen(
        self, request: HttpRequest
    ) -> AsyncGenerator[tuple[HttpResponse, AsyncIterator[bytes], RemainingTimeout], None]:
        body, trace, deadline = Body(MAX_BODY_BYTES), RequestTrace(), _deadline(request)
        async with contextlib.AsyncExitStack() as stack:
            with transport_errors(body.join, trace), anyio.fail_after(request.timeout + _GRACE):
                opened = contextlib.aclosing(await self._open(request, deadline, trace))
                response = await stack.enter_async_context(opened)
                chunks = response.aiter_bytes()
                if response.is_success and not request.rows:
                    await _read_async(chunks, body, only_start=True)
                events = _no_events()
                if (stream := _stream_parser(response, request, body)) is None:
                    await _read_async(chunks, body)
                else:
                    events = _read_events_async(chunks, body, stream, deadline)
                answer = body.to_response(response, opened=stream is not None)
            yield answer, events, deadline
            await _drain_async(chunks)

    async def _open(
        self, request: HttpRequest, deadline: RemainingTimeout, trace: RequestTrace
    ) -> httpx2.Response:
        response = await self._call(request, request.url or request.path, deadline, trace)
        if request.url is None and (target := redirect_target(response)) is not None:
            await response.aclose()
            response = await self._call(request, target, deadline, trace)
        return response

    async def _call(
        self, request: HttpRequest, url: str, deadline: RemainingTimeout, trace: RequestTrace
    ) -> httpx2.Response:
        client = self._client()
        call: Any = getattr(client, request.method.lower())
        try:
            with tracing(trace):
                response: httpx2.Response = await (
                    call(
                        url,
                        cast_to=httpx2.Response,
                        **_streamed(request, openai.AsyncStream[Any]),
                        **call_arguments(request, deadline),
                    )
                    if request.keyed
                    else http_client_of(client).send(
                        plain_request(request, url, deadline, trace.record_async), **PLAIN
                    )
                )
        except openai.APIStatusError as error:
            return error.response
        return response

    async def close(self) -> None:
        if self.owned:
            await self._client().close()


def _deadline(request: HttpRequest) -> RemainingTimeout:
    return RemainingTimeout.make(request.timeout, request.silence)


def _streamed(request: HttpRequest, kind: type) -> dict[str, Any]:
    """
    Return the arguments by which a response is read piece by piece; the client has none to delete.
    """
    return {} if request.method == "DELETE" else {"stream": True, "stream_cls": kind}


def _read(chunks: Iterator[bytes], body: Body, *, only_start: bool = False) -> None:
    """
    Read a response up to the size limit, or until it is clear whether it is a stream of events.
    """
    for chunk in chunks:
        body.add(chunk)
        if body.is_full or (only_start and body.events is not None):
            return


async def _read_async(
    chunks: AsyncIterator[bytes], body: Body, *, only_start: bool = False
) -> None:
    async for chunk in chunks:
        body.add(chunk)
        if body.is_full or (only_start and body.events is not None):
            return


def _stream_parser(response: httpx2.Response, request: HttpRequest, body: Body) -> Stream | None:
    """
    Return the parser of a streamed response; None if the response is read as a whole.
    """
    if not response.is_success:
        return None
    if request.rows:
        return RowStream(response.request, LineReader(MAX_BODY_BYTES))
    if body.is_event_stream(response):
        return EventStream(response.request, MAX_BODY_BYTES, MAX_STREAM_BYTES)
    return None


def _read_events(chunks: Iterator[bytes], body: Body, stream: Stream) -> Iterator[bytes]:
    with transport_errors(stream.pending):
        for chunk in itertools.chain(body.chunks, chunks):
            yield from stream.feed(chunk)
        yield from stream.end()


async def _read_events_async(
    chunks: AsyncIterator[bytes], body: Body, stream: Stream, deadline: RemainingTimeout
) -> AsyncIterator[bytes]:
    with transport_errors(stream.pending):
        for first_chunk in body.chunks:
            for data in stream.feed(first_chunk):
                yield data
        while True:
            if stream.is_large:
                yield ARRIVING
            with anyio.fail_after(max(0.0, deadline.left + _GRACE)):
                chunk = await anext(chunks, None)
            for data in stream.end() if chunk is None else stream.feed(chunk):
                yield data
            if chunk is None:
                return


async def _no_events() -> AsyncIterator[bytes]:
    return
    yield


def _drain(chunks: Iterator[bytes], deadline: RemainingTimeout) -> None:
    """
    Read the end of a response if it arrives at once, so that its connection can be reused.
    """
    deadline.end = min(deadline.end, time.monotonic() + _DRAIN_SECONDS)
    with contextlib.suppress(httpx2.HTTPError, httpx2.StreamError):
        for _ in chunks:
            pass


async def _drain_async(chunks: AsyncIterator[bytes]) -> None:
    with (
        contextlib.suppress(httpx2.HTTPError, httpx2.StreamError),
        anyio.move_on_after(_DRAIN_SECONDS),
    ):
        async for _ in chunks:
            pass


def _address(url: httpx2.URL) -> str:
    """
    Format a base URL without user name, password and query, which may be secret.
    """
    port = f":{url.port}" if url.port else ""
    return f"{url.host}{port}{url.path.rstrip('/')}"
