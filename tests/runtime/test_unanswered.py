"""
Failures without a response show whether the request was provably not sent, over real sockets.
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

POST = HttpRequest(method="POST", path="/responses", body={"input": "x"}, timeout=60)
LOGIN = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
SENDS = "http11.send_request_headers.started"
CONNECTED = b"HTTP/1.1 200 OK\r\n\r\n"


@contextlib.contextmanager
def serve_answers(*answers: bytes) -> Generator[int, None, None]:
    """
    Serve connections: send the given answers one after the other, and hang up; yield the port.
    """
    stop = threading.Event()

    def serve(server: socket.socket) -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                peer = server.accept()[0]
                with peer:
                    peer.settimeout(60)
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
    Find a closed port.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def send(url: str, proxy: str | None = None, key: str = "x") -> TransportError:
    """
    Send a request by the sync transport that gets no response.
    """
    http_client = httpx2.Client(proxy=proxy, trust_env=False, follow_redirects=True)
    with openai.OpenAI(api_key=key, base_url=url, http_client=http_client) as client:
        with pytest.raises(TransportError) as caught:
            OpenAITransport(client, owned=False).send(POST)
        return caught.value


def send_async(url: str, proxy: str | None = None, key: str = "x") -> TransportError:
    """
    Send a request by the async transport that gets no response.
    """

    async def run() -> TransportError:
        http_client = httpx2.AsyncClient(proxy=proxy, trust_env=False, follow_redirects=True)
        async with openai.AsyncOpenAI(api_key=key, base_url=url, http_client=http_client) as client:
            with pytest.raises(TransportError) as caught:
                await AsyncOpenAITransport(lambda: client, owned=False).send(POST)
            return caught.value

    return asyncio.run(run())


SendRequest = Callable[..., TransportError]
BOTH = pytest.mark.parametrize("send_request", [send, send_async])
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
    send_request: SendRequest, answers: tuple[bytes, ...], reason: str
) -> None:
    """
    Whatever fails before a proxy has connected, nothing was sent to the provider.
    """
    with serve_answers(*answers) as port:
        error = send_request(PROVIDER, proxy=f"http://127.0.0.1:{port}")
    assert not error.sent
    assert re.search(reason, error.reason)
    assert error.body == b""


@BOTH
def test_failed_connection_sends_nothing(send_request: SendRequest) -> None:
    """
    Closed ports, plain-text servers behind https, unknown or invalid host names, and other
    protocols: nothing was sent.
    """
    with serve_answers(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        urls = [
            f"https://127.0.0.1:{port}/v1",
            f"http://127.0.0.1:{closed_port()}/v1",
            "http://no-such-host.invalid/v1",
            f"http://{'a' * 64}.invalid/v1",
            "ftp://127.0.0.1/v1",
        ]
        for url in urls:
            error = send_request(url)
            assert not error.sent, url
            assert error.reason


@BOTH
def test_request_that_was_read_counts_as_sent(send_request: SendRequest) -> None:
    """
    A request that a server or a proxy read may have been processed, whatever it answered.
    """
    for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"nonsense\r\n\r\n"):
        with serve_answers(answer) as port:
            assert send_request(f"http://127.0.0.1:{port}/v1").sent
            assert send_request("http://images.example.test/v1", f"http://127.0.0.1:{port}").sent


@BOTH
def test_invalid_key_is_not_sent_or_shown(send_request: SendRequest) -> None:
    """
    A header that the client refuses to write was not sent, and is not shown.
    """
    with serve_answers(b"") as port:
        error = send_request(f"http://127.0.0.1:{port}/v1", key="sk-secret\n-1")
    assert not error.sent
    assert "secret" not in error.reason


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
def test_without_a_trace_the_error_type_decides(failure: Exception, *, sent: bool) -> None:
    """
    Without a trace, the type of the error shows whether anything was sent.
    """

    def fail(_: httpx2.Request) -> httpx2.Response:
        raise failure

    http_client = httpx2.Client(transport=httpx2.MockTransport(fail))
    with openai.OpenAI(api_key="x", http_client=http_client) as client:
        with pytest.raises(TransportError) as caught:
            OpenAITransport(client, owned=False).send(POST)
        assert caught.value.sent == sent


@pytest.mark.parametrize(
    "failure,words",
    [
        (httpx2.ProxyError("407 Proxy Authentication Required"), "HTTPS_PROXY"),
        (httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), "SSL_CERT_FILE"),
        (httpx2.UnsupportedProtocol("missing protocol"), "https://"),
        (httpx2.ConnectError("[Errno 111] Connection refused"), None),
        (httpx2.ConnectTimeout("slow"), None),
        (httpx2.ReadError("reset"), None),
    ],
)
def test_failure_that_settings_cause_has_advice(failure: Exception, words: str | None) -> None:
    """
    If trying again cannot help, because settings are wrong, the failure says what to change; any
    other has no advice and is tried again.
    """

    def fail(_: httpx2.Request) -> httpx2.Response:
        raise failure

    http_client = httpx2.Client(transport=httpx2.MockTransport(fail))
    with openai.OpenAI(api_key="x", http_client=http_client) as client:
        with pytest.raises(TransportError) as caught:
            OpenAITransport(client, owned=False).send(POST)
        assert (words or "") in caught.value.advice
        assert bool(caught.value.advice) == (words is not None)


def test_callers_trace_and_preparation_are_kept() -> None:
    """
    A client's own trace and preparation of requests still work.
    """
    seen: list[str] = []

    class Client(openai.OpenAI):
        def _prepare_request(self, request: httpx2.Request) -> None:
            def note(name: str, _: object) -> None:
                seen.append(name)

            request.extensions["trace"] = note

    with (
        serve_answers(b"") as port,
        Client(api_key="x", base_url=f"http://127.0.0.1:{port}/v1") as client,
        pytest.raises(TransportError) as caught,
    ):
        OpenAITransport(client, owned=False).send(POST)
    assert caught.value.sent
    assert "connection.connect_tcp.started" in seen


@pytest.mark.parametrize("announced", ["connection.connect_tcp.started", "", SENDS])
def test_any_failure_while_connecting(announced: str) -> None:
    """
    An exception of another kind proves nothing, unless the trace shows a connection and no
    request.
    """

    def fail(request: httpx2.Request) -> httpx2.Response:
        if announced:
            request.extensions["trace"](announced, {"request": request})
        raise ValueError("malformed")

    http_client = httpx2.Client(transport=httpx2.MockTransport(fail))
    with openai.OpenAI(api_key="x", http_client=http_client) as client:
        connecting = announced not in {"", SENDS}
        with pytest.raises(TransportError if connecting else ValueError) as caught:
            OpenAITransport(client, owned=False).send(POST)
        assert not connecting or not cast("TransportError", caught.value).sent


def test_connect_request_does_not_count_as_sent() -> None:
    """
    Only the request itself counts as sent, and once sent it stays so.
    """
    trace = RequestTrace()
    connect: Any = httpx2.Request("CONNECT", "http://x")
    connect.method = b"CONNECT"
    trace.record("http11.send_request_headers.started", {"request": connect})
    assert (trace.has_events, trace.sent) == (True, False)
    trace.record("http2.send_request_headers.started", {"request": None})
    trace.record("connection.connect_tcp.started", {})
    assert trace.sent
