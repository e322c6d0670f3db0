"""
Putting the provider on a loopback port, for other processes and other languages.
"""

import contextlib
import os
import selectors
import socket
import socketserver
import struct
import sys
import threading
import time
from collections.abc import Generator, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Protocol

import attrs

from imagesession._fake_openai.http import ConnectionReset, Delay, FakeRequest, FakeResponse, Part

LOOPBACK = "127.0.0.1"
# How soon a long pause notices that nobody waits for its end any more.
_GLANCE = 0.25


class Provider(Protocol):
    """
    Say what the server needs of a provider.
    """

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer a call.
        """
        ...


@attrs.frozen(kw_only=True)
class ServerAddress:
    """
    Tell where a provider is served.

    Attributes:
        base_url: What a client takes as its base URL.

    """

    base_url: str
    port: int


@contextlib.contextmanager
def serve(provider: Provider, *, port: int = 0) -> Generator[ServerAddress, None, None]:
    """
    Serve a provider on loopback until the block ends.

    Args:
        provider: The provider that answers.
        port: Where to listen; 0 picks a free port.

    """
    server = _Server(provider, port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        bound = int(server.server_address[1])
        yield ServerAddress(base_url=f"http://{LOOPBACK}:{bound}/v1", port=bound)
    finally:
        server.stop()
        thread.join()


class _Server(socketserver.ThreadingTCPServer):
    # Not http.server's own class: it asks the name service for this machine's name.
    # Windows lets two programs share a port that may be reused.
    allow_reuse_address = os.name != "nt"
    # A burst of clients must not be turned away before they are accepted.
    request_queue_size = 4096
    daemon_threads = False
    block_on_close = True

    def __init__(self, provider: Provider, port: int) -> None:
        self.provider = provider
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__((LOOPBACK, port), _Handler)

    def stop(self) -> None:
        """
        Stop listening, wake those who wait, hang up, and see every thread end.
        """
        self.stopping.set()
        self.shutdown()
        with self._lock:
            sockets = tuple(self._open)
        for connection in sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.add(connection)
        return connection, address

    def handle_error(self, request: object, client_address: object) -> None:
        """
        Pass over clients that hang up; show everything else.
        """
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type] # handed on as it came

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        if isinstance(request, socket.socket):  # pragma: no branch - a tuple is UDP's
            with self._lock:
                self._open.discard(request)
        super().shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, request: socket.socket, address: tuple[str, int], server: "_Server") -> None:
        # The base class serves the whole connection before its __init__ returns.
        self._provider = server.provider
        self._stopping = server.stopping
        super().__init__(request, address, server)

    def _serve(self) -> None:
        call = FakeRequest.read(self.command, self.path, self.headers.items(), self._read())
        answer = self._provider.handle(call)
        try:
            if answer.streams:
                self._send_parts(answer)
            else:
                self._send_whole(answer)
        except ConnectionResetError:
            self._break_off()
        except OSError:
            # The client hung up, or the server stops.
            self.close_connection = True
        finally:
            answer.close()

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _serve  # noqa: N815 - http.server's names

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._read_chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _read_chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _send_head(self, answer: FakeResponse, name: str, value: str) -> None:
        self.send_response(answer.status)
        for key, text in answer.headers.items():
            self.send_header(key, text)
        self.send_header(name, value)
        self.end_headers()

    def _send_whole(self, answer: FakeResponse) -> None:
        body = b"".join(self._arriving(answer.parts))
        self._send_head(answer, "Content-Length", str(len(body)))
        self.wfile.write(body)

    def _send_parts(self, answer: FakeResponse) -> None:
        self._send_head(answer, "Transfer-Encoding", "chunked")
        for data in self._arriving(answer.parts):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def _arriving(self, parts: Iterator[Part]) -> Iterator[bytes]:
        for part in parts:
            if isinstance(part, Delay):
                self._wait(part.seconds)
            elif isinstance(part, ConnectionReset):
                raise ConnectionResetError
            else:
                yield part

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._stopping.wait(min(left, _GLANCE)) or self._is_left():
                raise ConnectionAbortedError

    def _is_left(self) -> bool:
        """
        Tell whether the client has hung up; one that waits sends nothing.
        """
        # Not select.select, which knows no descriptor above 1,023.
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            return bool(selector.select(0)) and not self.connection.recv(1, socket.MSG_PEEK)

    def _break_off(self) -> None:
        """
        Break the connection as a network does: by a reset, not by a farewell.
        """
        self.close_connection = True
        with contextlib.suppress(OSError):
            linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """
        Keep quiet: whoever wants to know asks the provider for its calls.
        """
