"""
Send requests through the openai package: authentication and addresses are its, the rest is ours.

Nothing is parsed here and nothing sent twice. Its typed parsing of a reply of 4 MB takes 30 ms, and
it would send a request that was paid for again after a timeout:
https://github.com/openai/openai-python#retries. Its limits of time are for each read alone, and it
has none of size.
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

from .bodies import Body, EventStream, RowStream, Stream
from .deadlines import DeadlineStream, RemainingTimeout, install_deadline_backend
from .line_reader import LineReader
from .unanswered import RequestTrace, announce, announce_async, losses, tracing

_ByLoop: TypeAlias = WeakKeyDictionary[asyncio.AbstractEventLoop, openai.AsyncOpenAI]
_CONNECT_SECONDS = 10.0
# An answer of 64 MB has a picture of 48 MB, which is more than the largest that is made.
MAX_BODY_BYTES = 64 * 1024 * 1024
# A stream brings a picture some times: partial, as an item, and in the response at its end.
MAX_STREAM_BYTES = 4 * MAX_BODY_BYTES
# An async request that cannot connect says so by itself, and that it was not sent.
_GRACE = 0.1
# How long the end of an answer is waited for of which all that matters has come.
_DRAIN_SECONDS = 0.05


class OpenAITransport:
    """
    Sends requests through an `openai.OpenAI` client.
    """

    def __init__(self, client: openai.OpenAI, *, ours: bool) -> None:
        install_deadline_backend(client)
        self._client = client.with_options(max_retries=0)
        announce(self._client)
        self._ours = ours

    def provider(self) -> str:
        """
        Name who answers: the ids that it gives out are known there and nowhere else.
        """
        return _address(self._client.base_url)

    def send(self, request: HttpRequest) -> HttpResponse:
        """
        Send a request and read the whole reply.
        """
        body, trace, until = _body(), RequestTrace(), _until(request)
        with (
            losses(body.join, trace),
            contextlib.closing(self._open(request, until, trace)) as response,
        ):
            return _read(response, response.iter_bytes(), body)

    @contextlib.contextmanager
    def listen(self, request: HttpRequest) -> Generator[HttpResponse | Iterator[bytes], None, None]:
        """
        Send a request; give the reply, or the events' data if it is a stream.
        """
        body, trace, until = _body(), RequestTrace(), _until(request)
        with contextlib.ExitStack() as stack:
            with losses(body.join, trace):
                opened = contextlib.closing(self._open(request, until, trace))
                response = stack.enter_context(opened)
                pieces = response.iter_bytes()
                if response.is_success and not request.rows:
                    _begin(pieces, body)
                answer: HttpResponse | Iterator[bytes]
                if (stream := _stream(response, request, body)) is None:
                    answer = _read(response, pieces, body)
                else:
                    answer = _read_events(pieces, body, stream)
            yield answer
            _drain(pieces, until)

    def _open(
        self, request: HttpRequest, until: RemainingTimeout, trace: RequestTrace
    ) -> httpx2.Response:
        call: Any = self._client.get if request.method == "GET" else self._client.post
        try:
            with tracing(trace):
                response: httpx2.Response = call(
                    request.path,
                    cast_to=httpx2.Response,
                    stream=True,
                    stream_cls=openai.Stream[Any],
                    **_arguments(request, until),
                )
        except openai.APIStatusError as error:
            return error.response
        if isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = DeadlineStream(response.stream, until)
        return response

    def close(self) -> None:
        """
        Close the client's connections, if the client is not the caller's.
        """
        if self._ours:
            self._client.close()


class AsyncOpenAITransport:
    """
    Same as `OpenAITransport`, but awaits.

    A client's connections belong to the event loop that opened them, so each loop has a client of
    its own: `asyncio.run` may be called more than once.

    Args:
        make: Makes a client, or gives the caller's.
        ours: Whether the clients are ours to close.
    """

    def __init__(self, make: Callable[[], openai.AsyncOpenAI], *, ours: bool) -> None:
        self._make = make
        self._ours = ours
        self._spare: openai.AsyncOpenAI | None = make()
        self._address = _address(self._spare.base_url)
        self._clients: _ByLoop = WeakKeyDictionary()

    def _client(self) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            fresh, self._spare = self._spare or self._make(), None
            client = fresh.with_options(max_retries=0)
            announce_async(client)
            self._clients[loop] = client
        return self._clients[loop]

    def provider(self) -> str:
        """
        Name who answers: the ids that it gives out are known there and nowhere else.
        """
        return self._address

    async def send(self, request: HttpRequest) -> HttpResponse:
        """
        Send a request and read the whole reply.
        """
        body, trace, until = _body(), RequestTrace(), _until(request)
        with losses(body.join, trace), anyio.fail_after(request.timeout + _GRACE):
            opened = contextlib.aclosing(await self._open(request, until, trace))
            async with opened as response:
                return await _read_async(response, response.aiter_bytes(), body)
        raise AssertionError("a scope that was left early raises")

    @contextlib.asynccontextmanager
    async def listen(
        self, request: HttpRequest
    ) -> AsyncGenerator[HttpResponse | AsyncIterator[bytes], None]:
        """
        Send a request; give the reply, or the events' data if it is a stream.
        """
        body, trace, until = _body(), RequestTrace(), _until(request)
        async with contextlib.AsyncExitStack() as stack:
            with losses(body.join, trace), anyio.fail_after(request.timeout + _GRACE):
                opened = contextlib.aclosing(await self._open(request, until, trace))
                response = await stack.enter_async_context(opened)
                pieces = response.aiter_bytes()
                if response.is_success and not request.rows:
                    await _begin_async(pieces, body)
                answer: HttpResponse | AsyncIterator[bytes]
                if (stream := _stream(response, request, body)) is None:
                    answer = await _read_async(response, pieces, body)
                else:
                    answer = _read_events_async(pieces, body, stream, until)
            yield answer
            await _drain_async(pieces)

    async def _open(
        self, request: HttpRequest, until: RemainingTimeout, trace: RequestTrace
    ) -> httpx2.Response:
        client = self._client()
        call: Any = client.get if request.method == "GET" else client.post
        try:
            with tracing(trace):
                response: httpx2.Response = await call(
                    request.path,
                    cast_to=httpx2.Response,
                    stream=True,
                    stream_cls=openai.AsyncStream[Any],
                    **_arguments(request, until),
                )
        except openai.APIStatusError as error:
            return error.response
        return response

    async def close(self) -> None:
        """
        Close the connections of this event loop, if the client is not the caller's.
        """
        if self._ours:
            await self._client().close()


def _body() -> Body:
    return Body(MAX_BODY_BYTES)


def _begin(pieces: Iterator[bytes], body: Body) -> None:
    """
    Read as much of an answer as tells whether it is a stream of events.
    """
    for piece in pieces:
        body.add(piece)
        if body.events is not None or body.is_full:
            return


async def _begin_async(pieces: AsyncIterator[bytes], body: Body) -> None:
    async for piece in pieces:
        body.add(piece)
        if body.events is not None or body.is_full:
            return


def _read(response: httpx2.Response, pieces: Iterator[bytes], body: Body) -> HttpResponse:
    """
    Read an answer, but no more than any should have.
    """
    for piece in pieces:
        body.add(piece)
        if body.is_full:
            break
    return body.reply(response)


async def _read_async(
    response: httpx2.Response, pieces: AsyncIterator[bytes], body: Body
) -> HttpResponse:
    async for piece in pieces:
        body.add(piece)
        if body.is_full:
            break
    return body.reply(response)


def _stream(response: httpx2.Response, request: HttpRequest, body: Body) -> Stream | None:
    """
    Return what takes an answer apart that is heard piece by piece; None if it is read as a whole.
    """
    if not response.is_success:
        return None
    if request.rows:
        return RowStream(response.request, LineReader(MAX_BODY_BYTES))
    if body.is_event_stream(response):
        return EventStream(response.request, MAX_BODY_BYTES, MAX_STREAM_BYTES)
    return None


def _read_events(pieces: Iterator[bytes], body: Body, stream: Stream) -> Iterator[bytes]:
    with losses(stream.pending):
        for piece in itertools.chain(body.pieces, pieces):
            yield from stream.feed(piece)
        yield from stream.end()


async def _read_events_async(
    pieces: AsyncIterator[bytes], body: Body, stream: Stream, until: RemainingTimeout
) -> AsyncIterator[bytes]:
    with losses(stream.pending):
        for begun in body.pieces:
            for data in stream.feed(begun):
                yield data
        while True:
            with anyio.fail_after(max(0.0, until.left + _GRACE)):
                piece = await anext(pieces, None)
            for data in stream.end() if piece is None else stream.feed(piece):
                yield data
            if piece is None:
                return


def _drain(pieces: Iterator[bytes], until: RemainingTimeout) -> None:
    """
    Read an answer to its end, if that is there already: so its connection can be used again, and
    the next request need not make another.
    """
    until.end = min(until.end, time.monotonic() + _DRAIN_SECONDS)
    with contextlib.suppress(httpx2.HTTPError, httpx2.StreamError):
        for _ in pieces:
            pass


async def _drain_async(pieces: AsyncIterator[bytes]) -> None:
    with (
        contextlib.suppress(httpx2.HTTPError, httpx2.StreamError),
        anyio.move_on_after(_DRAIN_SECONDS),
    ):
        async for _ in pieces:
            pass


def _until(request: HttpRequest) -> RemainingTimeout:
    return RemainingTimeout.make(request.timeout, request.silence)


def _arguments(request: HttpRequest, until: RemainingTimeout) -> dict[str, Any]:
    connect = RemainingTimeout(min(_CONNECT_SECONDS, request.timeout))
    connect.end = until.end
    timeout = httpx2.Timeout(until, connect=connect)
    arguments: dict[str, Any] = {"options": {"timeout": timeout}}
    if request.body is not None:
        arguments["body"] = request.body
    if request.files:
        arguments["files"] = [
            (part.field, (part.name, part.data, part.mime)) for part in request.files
        ]
        arguments["options"]["headers"] = {"Content-Type": "multipart/form-data"}
    return arguments


def _address(url: httpx2.URL) -> str:
    """
    Write a base URL without user, password or query, in which secrets may stand.
    """
    port = f":{url.port}" if url.port else ""
    return f"{url.host}{port}{url.path.rstrip('/')}"
