"""
Of a request without an answer it is told whether it provably never left, over real sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Callable, Generator
from typing import Any, cast

import httpx2
import openai
import pytest

from imagesession._engine.http import HttpRequest, TransportError
from imagesession._runtime.openai_transport import AsyncOpenAITransport, OpenAITransport
from imagesession._runtime.unanswered import RequestTrace

POST = HttpRequest(method="POST", path="/responses", body={"input": "x"}, timeout=20)
LOGIN = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
SENDS = "http11.send_request_headers.started"
CONNECTED = b"HTTP/1.1 200 OK\r\n\r\n"
REDIRECT = b"HTTP/1.1 307 Moved\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:%d/\r\n\r\n"


@contextlib.contextmanager
def saying(*answers: bytes) -> Generator[int, None, None]:
    """
    Serve connections: answer what comes with each of some bytes, and hang up; give the port.
    """
    stop = threading.Event()

    def serve(server: socket.socket) -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                peer = server.accept()[0]
                with peer:
                    peer.settimeout(5)
                    for answer in answers:
                        peer.recv(65_536)
                        peer.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def closed_port() -> int:
    """
    Find a port on which nobody listens.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def send(url: str, proxy: str | None = None, key: str = "x") -> TransportError:
    """
    Send a request by the sync transport that is not answered.
    """
    http_client = httpx2.Client(proxy=proxy, trust_env=False, follow_redirects=True)
    with openai.OpenAI(api_key=key, base_url=url, http_client=http_client) as client:
        with pytest.raises(TransportError) as caught:
            OpenAITransport(client, ours=False).send(POST)
        return caught.value


def send_async(url: str, proxy: str | None = None, key: str = "x") -> TransportError:
    """
    Send a request by the async transport that is not answered.
    """

    async def run() -> TransportError:
        http_client = httpx2.AsyncClient(proxy=proxy, trust_env=False, follow_redirects=True)
        async with openai.AsyncOpenAI(api_key=key, base_url=url, http_client=http_client) as client:
            with pytest.raises(TransportError) as caught:
                await AsyncOpenAITransport(lambda: client, ours=False).send(POST)
            return caught.value

    return asyncio.run(run())


Sending = Callable[..., TransportError]
BOTH = pytest.mark.parametrize("sending", [send, send_async])
PROVIDER = "https://images.example.test/v1"


@BOTH
@pytest.mark.parametrize(
    "answers,reason",
    [
        ((LOGIN,), r"the proxy wants a user name and password \(407\)"),
        ((LOGIN.replace(b"407", b"403"),), "the proxy does not connect to the provider: 403"),
        ((b"HTTP/1.1 502 Bad Gateway\r\n\r\n",), "502 Bad Gateway"),
        ((b"",), "RemoteProtocolError"),
        ((b"nonsense\r\n\r\n",), "RemoteProtocolError"),
        ((CONNECTED, b"not TLS"), "ConnectError"),
        ((CONNECTED,), "Error"),
    ],
)
def test_proxy_that_does_not_connect(
    sending: Sending, answers: tuple[bytes, ...], reason: str
) -> None:
    """
    Whatever goes wrong until a proxy has connected, nothing was sent to the provider.
    """
    with saying(*answers) as port:
        lost = sending(PROVIDER, proxy=f"http://127.0.0.1:{port}")
    assert not lost.sent
    assert re.search(reason, lost.reason)
    assert lost.body == b""


@BOTH
def test_connection_that_is_not_made(sending: Sending) -> None:
    """
    A closed port, a plain-text server behind https, names that nobody knows or takes, and other
    protocols: nothing was sent.
    """
    with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        urls = [
            f"https://127.0.0.1:{port}/v1",
            f"http://127.0.0.1:{closed_port()}/v1",
            "http://no-such-host.invalid/v1",
            f"http://{'a' * 64}.invalid/v1",
            "ftp://127.0.0.1/v1",
        ]
        for url in urls:
            lost = sending(url)
            assert not lost.sent, url
            assert lost.reason


@BOTH
def test_request_that_left(sending: Sending) -> None:
    """
    A request that a server or a proxy read may have been carried out, whatever came back.
    """
    for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"nonsense\r\n\r\n"):
        with saying(answer) as port:
            assert sending(f"http://127.0.0.1:{port}/v1").sent
            assert sending("http://images.example.test/v1", f"http://127.0.0.1:{port}").sent
    with saying(REDIRECT % closed_port()) as port:
        # Whoever redirects may have done the work before.
        assert sending(f"http://127.0.0.1:{port}/v1").sent


@BOTH
def test_key_that_is_no_header(sending: Sending) -> None:
    """
    A header that the client refuses to write was not sent, and is not told.
    """
    with saying(b"") as port:
        lost = sending(f"http://127.0.0.1:{port}/v1", key="sk-secret\n-1")
    assert not lost.sent
    assert "secret" not in lost.reason


@pytest.mark.parametrize(
    "failure,sent",
    [
        (httpx2.ProxyError("407 Proxy Authentication Required"), False),
        (httpx2.ProxyError("Invalid username/password"), False),
        (httpx2.PoolTimeout("full"), False),
        (httpx2.UnsupportedProtocol("x"), False),
        (httpx2.WriteError("reset"), True),
        (httpx2.WriteTimeout("slow"), True),
        (ConnectionResetError("reset"), True),
        (OSError("TLS"), True),
    ],
)
def test_other_transports_are_judged_by_their_errors(failure: Exception, *, sent: bool) -> None:
    """
    Where the client announces nothing, the kind of error tells what never left.
    """

    def fail(_: httpx2.Request) -> httpx2.Response:
        raise failure

    http_client = httpx2.Client(transport=httpx2.MockTransport(fail))
    with openai.OpenAI(api_key="x", http_client=http_client) as client:
        with pytest.raises(TransportError) as caught:
            OpenAITransport(client, ours=False).send(POST)
        assert caught.value.sent == sent


def test_callers_own_trace_and_preparation_are_kept() -> None:
    """
    A client that prepares and traces its requests itself goes on to do so.
    """
    seen: list[str] = []

    class Client(openai.OpenAI):
        def _prepare_request(self, request: httpx2.Request) -> None:
            def note(name: str, _: object) -> None:
                seen.append(name)

            request.extensions["trace"] = note

    with (
        saying(b"") as port,
        Client(api_key="x", base_url=f"http://127.0.0.1:{port}/v1") as client,
        pytest.raises(TransportError) as caught,
    ):
        OpenAITransport(client, ours=False).send(POST)
    assert caught.value.sent
    assert "connection.connect_tcp.started" in seen


@pytest.mark.parametrize("announced", ["connection.connect_tcp.started", "", SENDS])
def test_failures_of_all_kinds_while_connecting(announced: str) -> None:
    """
    An exception that is no transport error proves nothing by itself, but where it was announced
    that a connection is made, and no request.
    """

    def fail(request: httpx2.Request) -> httpx2.Response:
        if announced:
            request.extensions["trace"](announced, {"request": request})
        raise ValueError("malformed")

    http_client = httpx2.Client(transport=httpx2.MockTransport(fail))
    with openai.OpenAI(api_key="x", http_client=http_client) as client:
        connecting = announced not in {"", SENDS}
        with pytest.raises(TransportError if connecting else ValueError) as caught:
            OpenAITransport(client, ours=False).send(POST)
        assert not connecting or not cast("TransportError", caught.value).sent


def test_trace_tells_a_request_from_the_one_that_connects() -> None:
    """
    Only the request itself counts as sent, and once sent it stays so.
    """
    trace = RequestTrace()
    connect: Any = httpx2.Request("CONNECT", "http://x")
    connect.method = b"CONNECT"
    trace.note("http11.send_request_headers.started", {"request": connect})
    assert (trace.began, trace.sent) == (True, False)
    trace.note("http2.send_request_headers.started", {"request": None})
    trace.note("connection.connect_tcp.started", {})
    assert trace.sent
