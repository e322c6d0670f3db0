"""
Send requests through the openai package: authentication and addresses are its, the rest is ours.

It parses nothing and retries nothing here. Its typed parsing of a reply of 4 MB takes 30 ms, and
it would send a request that was paid for again after a timeout:
https://github.com/openai/openai-python#retries.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import httpx2
import openai

from imagesession._plan.wire import NoReplyError, Reply, Request

# Failures that prove that nothing reached the provider.
_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
)
_ByLoop: TypeAlias = WeakKeyDictionary[asyncio.AbstractEventLoop, openai.AsyncOpenAI]
_CONNECT_SECONDS = 10.0
# One event of a stream can carry a whole picture twice.
_MAX_EVENT_BYTES = 256 * 1024 * 1024


class OpenAITransport:
    """
    Sends requests through an `openai.OpenAI` client.
    """

    def __init__(self, client: openai.OpenAI, *, ours: bool) -> None:
        self._client = client.with_options(max_retries=0)
        self._ours = ours

    def provider(self) -> str:
        """
        Name who answers: the ids that it gives out are known there and nowhere else.
        """
        return _address(self._client.base_url)

    def send(self, request: Request) -> Reply:
        """
        Send a request and read the whole reply.
        """
        with _failures():
            return _reply(self._open(request, stream=False))

    @contextlib.contextmanager
    def listen(self, request: Request) -> Generator[Reply | Iterator[bytes], None, None]:
        """
        Send a request; give the reply, or the events' data if it is a stream.
        """
        with _failures():
            response = self._open(request, stream=True)
            if not _is_stream(response):
                response.read()
        with contextlib.closing(response):
            yield _events(response) if _is_stream(response) else _reply(response)

    def _open(self, request: Request, *, stream: bool) -> httpx2.Response:
        call: Any = self._client.get if request.method == "GET" else self._client.post
        try:
            response: httpx2.Response = call(
                request.path,
                cast_to=httpx2.Response,
                stream=stream,
                stream_cls=openai.Stream[Any],
                **_arguments(request),
            )
        except openai.APIStatusError as error:
            return error.response
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
            self._clients[loop] = fresh.with_options(max_retries=0)
        return self._clients[loop]

    def provider(self) -> str:
        """
        Name who answers: the ids that it gives out are known there and nowhere else.
        """
        return self._address

    async def send(self, request: Request) -> Reply:
        """
        Send a request and read the whole reply.
        """
        with _failures():
            return _reply(await self._open(request, stream=False))

    @contextlib.asynccontextmanager
    async def listen(self, request: Request) -> AsyncGenerator[Reply | AsyncIterator[bytes], None]:
        """
        Send a request; give the reply, or the events' data if it is a stream.
        """
        with _failures():
            response = await self._open(request, stream=True)
            if not _is_stream(response):
                await response.aread()
        async with contextlib.aclosing(response):
            yield _events_async(response) if _is_stream(response) else _reply(response)

    async def _open(self, request: Request, *, stream: bool) -> httpx2.Response:
        client = self._client()
        call: Any = client.get if request.method == "GET" else client.post
        try:
            response: httpx2.Response = await call(
                request.path,
                cast_to=httpx2.Response,
                stream=stream,
                stream_cls=openai.AsyncStream[Any],
                **_arguments(request),
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


def _events(response: httpx2.Response) -> Iterator[bytes]:
    with _failures():
        for event in httpx2.EventSource(response, _MAX_EVENT_BYTES):
            yield event.data.encode()


async def _events_async(response: httpx2.Response) -> AsyncIterator[bytes]:
    with _failures():
        async for event in httpx2.EventSource(response, _MAX_EVENT_BYTES):
            yield event.data.encode()


def _arguments(request: Request) -> dict[str, Any]:
    connect = min(_CONNECT_SECONDS, request.timeout)
    timeout = httpx2.Timeout(request.timeout, connect=connect)
    arguments: dict[str, Any] = {"options": {"timeout": timeout}}
    if request.body is not None:
        arguments["body"] = request.body
    if request.files:
        arguments["files"] = [
            (part.field, (part.name, part.data, part.mime)) for part in request.files
        ]
        arguments["options"]["headers"] = {"Content-Type": "multipart/form-data"}
    return arguments


def _reply(response: httpx2.Response) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(status=response.status_code, headers=headers, body=response.content)


def _is_stream(response: httpx2.Response) -> bool:
    kind = str(response.headers.get("content-type", ""))
    return response.is_success and kind.partition(";")[0].strip().lower() == "text/event-stream"


def _address(url: httpx2.URL) -> str:
    """
    Write a base URL without user, password or query, in which secrets may stand.
    """
    port = f":{url.port}" if url.port else ""
    return f"{url.host}{port}{url.path.rstrip('/')}"


@contextlib.contextmanager
def _failures() -> Generator[None, None, None]:
    """
    Say of a failure whether the request may have reached the provider.
    """
    try:
        yield
    except openai.APIConnectionError as error:
        cause = error.__cause__ or error
        sent = not isinstance(cause, _NOT_SENT)
        raise NoReplyError(sent=sent, reason=_describe(cause)) from error
    except (httpx2.TransportError, httpx2.StreamError, httpx2.DecodingError, RuntimeError) as error:
        # A RuntimeError is what a closed event loop or client raises, at whatever point.
        raise NoReplyError(sent=True, reason=_describe(error)) from error


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
