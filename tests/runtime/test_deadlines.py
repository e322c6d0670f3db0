"""
Requests end at their deadline, and responses are read only up to a size limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from imagesession._engine.http import HttpRequest, HttpResponse, TransportError
from imagesession._runtime import openai_transport
from imagesession._runtime.deadlines import RemainingTimeout
from imagesession._runtime.openai_transport import (
    AsyncOpenAITransport,
    OpenAITransport,
    install_deadline_backend,
)
from imagesession.errors import OutcomeUnknownError
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, Fault, serve
from tests.clock import DAY
from tests.conftest import MakeStudio

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
TIME = 0.25
Script = Callable[[], Iterator[bytes]]


def trickling_head() -> Iterator[bytes]:
    """
    Send endless headers, byte by byte.
    """
    yield HEAD
    for byte in itertools.cycle(b"x-more: of the same\r\n"):
        yield bytes([byte])
        time.sleep(0.05)


def trickling_body() -> Iterator[bytes]:
    """
    Send a body byte by byte.
    """
    yield HEAD + b"Content-Length: 1000\r\n\r\n{"
    while True:
        yield b" "
        time.sleep(0.05)


def silent_late() -> Iterator[bytes]:
    """
    Send a byte shortly before the deadline, and then nothing.
    """
    yield HEAD + b"Content-Length: 1000\r\n\r\n"
    time.sleep(0.8 * TIME)
    yield b"{"
    time.sleep(DAY)


def silent() -> Iterator[bytes]:
    """
    Send nothing.
    """
    time.sleep(DAY)
    yield b""


def failing_slowly() -> Iterator[bytes]:
    """
    Send an error byte by byte.
    """
    yield HEAD.replace(b"200 OK", b"500 Oh") + b"Content-Length: 1000\r\n\r\n"
    while True:
        yield b" "
        time.sleep(0.05)


def trickling_events() -> Iterator[bytes]:
    """
    Send a stream that never has an event.
    """
    yield EVENTS
    while True:
        yield b":"
        time.sleep(0.05)


@contextlib.contextmanager
def serve_script(script: Script) -> Generator[str, None, None]:
    """
    Serve connections by a script; yield the base URL.
    """
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def answer(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                for chunk in script():
                    if stop.is_set():
                        return
                    connection.sendall(chunk)

        def run() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        finally:
            stop.set()
            thread.join()


def send(url: str, request: HttpRequest, *, streamed: bool = False) -> HttpResponse | list[bytes]:
    """
    Send a request by the sync transport.
    """
    with openai.OpenAI(api_key="x", base_url=url) as client:
        transport = OpenAITransport(client, owned=False)
        if not streamed:
            return transport.send(request)
        with transport.listen(request) as (response, events, _):
            return list(events) if response.opened else response


def send_async(
    url: str, request: HttpRequest, *, streamed: bool = False
) -> HttpResponse | list[bytes]:
    """
    Send a request by the async transport.
    """

    async def run() -> HttpResponse | list[bytes]:
        async with openai.AsyncOpenAI(api_key="x", base_url=url) as client:
            transport = AsyncOpenAITransport(lambda: client, owned=False)
            if not streamed:
                return await transport.send(request)
            async with transport.listen(request) as (response, events, _):
                return [event async for event in events] if response.opened else response

    return asyncio.run(run())


Send = Callable[..., Any]
BOTH = pytest.mark.parametrize("sender", [send, send_async])
POST = HttpRequest(method="POST", path="/responses", body={"input": "x"}, timeout=TIME)


@BOTH
@pytest.mark.parametrize(
    "script,streamed",
    [
        (trickling_head, False),
        (trickling_body, False),
        (silent_late, False),
        (silent, False),
        (failing_slowly, False),
        (trickling_head, True),
        (failing_slowly, True),
    ],
)
def test_deadline_applies_to_the_whole_request(
    sender: Send, script: Script, *, streamed: bool
) -> None:
    """
    However slowly a response arrives, the request ends in time, and may have been processed.
    """
    single_request(sender)
    with serve_script(script) as url:
        start = time.monotonic()
        with pytest.raises(TransportError) as caught:
            sender(url, POST, streamed=streamed)
        assert TIME * 0.9 <= time.monotonic() - start < 60
    assert caught.value.sent


def single_request(sender: Send) -> None:
    """
    Import openai and make a client once, which is slow.
    """
    with serve(FakeOpenAI()) as served:
        sender(served.base_url, HttpRequest(method="GET", path="/models"))


@BOTH
def test_deadline_applies_to_streams(sender: Send) -> None:
    """
    A stream that never has an event ends in time.
    """
    single_request(sender)
    with serve_script(trickling_events) as url:
        start = time.monotonic()
        with pytest.raises(TransportError):
            sender(url, POST, streamed=True)
        assert TIME * 0.9 <= time.monotonic() - start < 60


def test_without_the_backend_the_deadline_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A client with only its own timeouts per read exceeds the deadline.
    """

    def do_nothing(_: object) -> None:
        pass

    monkeypatch.setattr(openai_transport, "install_deadline_backend", do_nothing)
    with serve_script(silent_late) as url:
        start = time.monotonic()
        with pytest.raises(TransportError):
            send(url, POST)
        assert time.monotonic() - start > 1.5 * TIME


@BOTH
def test_partial_body_is_in_the_error(sender: Send) -> None:
    """
    If the rest of a response does not arrive, the error has the received part.
    """
    with serve_script(trickling_body) as url, pytest.raises(TransportError) as caught:
        sender(url, POST)
    assert caught.value.body.startswith(b"{ ")
    assert "bytes>" in repr(caught.value)


@BOTH
def test_silence_limit_ends_the_request_early(sender: Send) -> None:
    """
    A separate limit on silence ends the request before its deadline.
    """
    request = HttpRequest(method="GET", path="/models", timeout=DAY, silence=0.2)
    with serve_script(silent) as url:
        start = time.monotonic()
        with pytest.raises(TransportError):
            sender(url, request)
        assert time.monotonic() - start < DAY / 2


def test_client_is_wrapped_once() -> None:
    """
    A client that is used by many studios is wrapped only once.
    """
    with openai.OpenAI(api_key="x") as client:
        for _ in range(3):
            install_deadline_backend(client)
        inner: Any = client
        pool: Any = inner._client._transport._pool  # noqa: SLF001 - there is no public way
        within: Any = pool._network_backend._inner  # noqa: SLF001 - there is no public way
        assert type(within).__module__.startswith("httpcore2")
    install_deadline_backend(object())


def test_remaining_timeout_counts_down() -> None:
    """
    A `RemainingTimeout` is a number of seconds, and counts down.
    """
    timeout = RemainingTimeout.make(50.0, 2.0)
    assert timeout == 2.0
    assert 0 < timeout.left <= 50.0
    assert RemainingTimeout.make(1.0, None) == 1.0
    assert RemainingTimeout.make(-1.0).left <= -1.0


def large(size: int, kind: str = "application/json") -> Fault:
    """
    Make a fault that responds with that many bytes.
    """

    def instead(_: FakeRequest) -> FakeResponse:
        parts = iter([b"data: ", *[b"x" * 65_536] * (size // 65_536), b"\n\n"])
        return FakeResponse(headers={"content-type": kind}, parts=parts)

    return Fault(method="POST", path="/responses", response=instead)


@pytest.mark.parametrize("location", ["in this process", "over loopback"])
def test_oversized_response_is_an_error(
    make_studio: MakeStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    """
    A response above the size limit is an error that names the file with the received part.
    """
    monkeypatch.setattr(openai_transport, "MAX_BODY_BYTES", 1_000_000)
    provider = FakeOpenAI()
    provider.enqueue_fault(large(20_000_000))
    with serve(provider) as served:
        online = {"online": True, "api_key": "x", "base_url": served.base_url}
        where = {"provider": provider} if location == "in this process" else online
        studio = make_studio(tmp_path, **where)
        with pytest.raises(OutcomeUnknownError, match="more than 1 MB") as caught:
            studio.generate("a teapot")
        studio.close()
    path = Path(str(caught.value).split(" is kept in ")[1].rstrip("."))
    assert path.stat().st_size >= 1_000_000


@BOTH
def test_oversized_event_or_stream_is_an_error(
    sender: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    An event above the size limit is an error, and so is a stream of many small ones.
    """
    monkeypatch.setattr(openai_transport, "MAX_BODY_BYTES", 100_000)
    monkeypatch.setattr(openai_transport, "MAX_STREAM_BYTES", 200_000)
    provider = FakeOpenAI()
    small = b"data: %b\n\n" % (b"x" * 50_000)
    many = Fault(
        method="POST",
        response=lambda _: FakeResponse(
            headers={"content-type": "text/event-stream"}, parts=itertools.repeat(small)
        ),
    )
    request = HttpRequest(method="POST", path="/responses", body={"input": "x"}, timeout=30)
    with serve(provider) as served:
        for fault, reason in ((large(10_000_000, "text/event-stream"), "an event"), (many, "MB")):
            provider.enqueue_fault(fault)
            with pytest.raises(TransportError) as caught:
                sender(served.base_url, request, streamed=True)
            assert reason in caught.value.reason
