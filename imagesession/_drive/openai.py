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
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import anyio
import httpx2
import openai

from imagesession._plan.wire import NoReplyError, Reply, Request

from .deadlines import Timed, Until, watch
from .hiding import hide, is_told
from .rows import Rows

# Failures that prove that nothing reached the provider.
_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
)
_BAD_HEADER = "Illegal header"
# A RuntimeError is what a closed event loop or client raises, at whatever point.
_LOST = (
    httpx2.TransportError,
    httpx2.StreamError,
    httpx2.DecodingError,
    TimeoutError,
    RuntimeError,
)
_ByLoop: TypeAlias = WeakKeyDictionary[asyncio.AbstractEventLoop, openai.AsyncOpenAI]
_CONNECT_SECONDS = 10.0
# An answer of 64 MB has a picture of 48 MB, which is more than the largest that is made.
MAX_BODY_BYTES = 64 * 1024 * 1024
# A stream brings a picture some times: partial, as an item, and in the response at its end.
MAX_STREAM_BYTES = 4 * MAX_BODY_BYTES
# An async request that cannot connect says so by itself, and that it was not sent.
_GRACE = 0.1


class OpenAITransport:
    """
    Sends requests through an `openai.OpenAI` client.
    """

    def __init__(self, client: openai.OpenAI, *, ours: bool) -> None:
        watch(client)
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
        came: list[bytes] = []
        with _failures(came), contextlib.closing(self._open(request)) as response:
            return _read(response, came)

    @contextlib.contextmanager
    def listen(self, request: Request) -> Generator[Reply | Iterator[bytes], None, None]:
        """
        Send a request; give the reply, or the events' data if it is a stream.
        """
        came: list[bytes] = []
        with contextlib.ExitStack() as stack:
            with _failures(came):
                response = stack.enter_context(contextlib.closing(self._open(request)))
                reply = None if _is_heard(response, request) else _read(response, came)
            heard = _rows if request.rows else _events
            yield heard(response) if reply is None else reply

    def _open(self, request: Request) -> httpx2.Response:
        until = _until(request)
        call: Any = self._client.get if request.method == "GET" else self._client.post
        try:
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
            response.stream = Timed(response.stream, until)
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
        came: list[bytes] = []
        with _failures(came), anyio.fail_after(request.timeout + _GRACE):
            async with contextlib.aclosing(await self._open(request, _until(request))) as response:
                return await _read_async(response, came)
        raise AssertionError("a scope that was left early raises")

    @contextlib.asynccontextmanager
    async def listen(self, request: Request) -> AsyncGenerator[Reply | AsyncIterator[bytes], None]:
        """
        Send a request; give the reply, or the events' data if it is a stream.
        """
        came: list[bytes] = []
        until = _until(request)
        async with contextlib.AsyncExitStack() as stack:
            with _failures(came), anyio.fail_after(request.timeout + _GRACE):
                opened = contextlib.aclosing(await self._open(request, until))
                response = await stack.enter_async_context(opened)
                heard = _is_heard(response, request)
                reply = None if heard else await _read_async(response, came)
            hear = _rows_async if request.rows else _events_async
            yield hear(response, until) if reply is None else reply

    async def _open(self, request: Request, until: Until) -> httpx2.Response:
        client = self._client()
        call: Any = client.get if request.method == "GET" else client.post
        try:
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


def _read(response: httpx2.Response, came: list[bytes]) -> Reply:
    """
    Read an answer, but no more than any should have.

    Args:
        response: The answer.
        came: Takes up what came, so that it is there if the rest does not come.
    """
    size = 0
    for piece in response.iter_bytes():
        came.append(piece)
        size += len(piece)
        if size > MAX_BODY_BYTES:
            break
    return _reply(response, came, whole=size <= MAX_BODY_BYTES)


async def _read_async(response: httpx2.Response, came: list[bytes]) -> Reply:
    async with contextlib.aclosing(response.aiter_bytes()) as pieces:
        size = 0
        async for piece in pieces:
            came.append(piece)
            size += len(piece)
            if size > MAX_BODY_BYTES:
                break
    return _reply(response, came, whole=size <= MAX_BODY_BYTES)


def _events(response: httpx2.Response) -> Iterator[bytes]:
    heard = 0
    with _failures():
        for event in httpx2.EventSource(response, MAX_BODY_BYTES):
            data = hide(event.data.encode(), response.request)
            heard += len(data)
            _check_length(heard)
            yield data


async def _events_async(response: httpx2.Response, until: Until) -> AsyncIterator[bytes]:
    heard = 0
    with _failures():
        events = aiter(httpx2.EventSource(response, MAX_BODY_BYTES))
        while True:
            with anyio.fail_after(max(0.0, until.left) + _GRACE):
                event = await anext(events, None)
            if event is None:
                return
            data = hide(event.data.encode(), response.request)
            heard += len(data)
            _check_length(heard)
            yield data


def _rows(response: httpx2.Response) -> Iterator[bytes]:
    rows = Rows(MAX_BODY_BYTES)
    with _failures():
        for piece in response.iter_bytes():
            for row in rows.feed(piece):
                yield hide(row, response.request)
        yield from rows.end()


async def _rows_async(response: httpx2.Response, until: Until) -> AsyncIterator[bytes]:
    rows = Rows(MAX_BODY_BYTES)
    with _failures():
        pieces = response.aiter_bytes()
        while True:
            with anyio.fail_after(max(0.0, until.left) + _GRACE):
                piece = await anext(pieces, None)
            if piece is None:
                break
            for row in rows.feed(piece):
                yield hide(row, response.request)
        for row in rows.end():
            yield row


def _check_length(heard: int) -> None:
    if heard > MAX_STREAM_BYTES:
        raise httpx2.ReadError(f"the stream has more than {MAX_STREAM_BYTES / 1e6:.0f} MB")


def _until(request: Request) -> Until:
    return Until.make(request.timeout, request.silence)


def _arguments(request: Request, until: Until) -> dict[str, Any]:
    connect = Until(min(_CONNECT_SECONDS, request.timeout))
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


def _reply(response: httpx2.Response, came: list[bytes], *, whole: bool) -> Reply:
    return Reply(
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        body=hide(b"".join(came), response.request),
        whole=whole,
    )


def _is_heard(response: httpx2.Response, request: Request) -> bool:
    """
    Tell whether an answer is heard piece by piece: a stream of events, or a file's lines.
    """
    return response.is_success if request.rows else _is_stream(response)


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
def _failures(came: list[bytes] | None = None) -> Generator[None, None, None]:
    """
    Say of a failure whether the request may have reached the provider.

    Args:
        came: What came of the answer until then.
    """
    try:
        yield
    except openai.APIConnectionError as error:
        cause = error.__cause__ or error
        lost = NoReplyError(sent=not _was_kept_back(cause), reason=_describe(cause, error.request))
        raise lost from (error if lost.reason == _describe(cause) else None)
    except _LOST as error:
        request = _request_of(error)
        body = b"".join(came or ())
        if request is not None:
            body = hide(body, request)
        lost = NoReplyError(sent=True, reason=_describe(error, request), body=body)
        raise lost from (error if lost.reason == _describe(error) else None)


def _was_kept_back(cause: BaseException) -> bool:
    """
    Tell whether a failure proves that nothing reached the provider.
    """
    malformed = isinstance(cause, httpx2.LocalProtocolError) and _BAD_HEADER in str(cause)
    return malformed or isinstance(cause, _NOT_SENT)


def _request_of(error: BaseException) -> httpx2.Request | None:
    try:
        return error.request if isinstance(error, httpx2.RequestError) else None
    except RuntimeError:
        return None


def _describe(error: BaseException, request: httpx2.Request | None = None) -> str:
    """
    Say what went wrong, but nothing that proves who we are; a header that is malformed is shown by
    whoever refuses it.
    """
    said = str(error)
    if request is not None and (_BAD_HEADER in said or is_told(said, request)):
        said = "a header is malformed" if _BAD_HEADER in said else ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
