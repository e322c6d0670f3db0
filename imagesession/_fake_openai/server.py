"""
Serve the provider on a loopback port, for other processes and other languages.
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

import attrs

from imagesession._fake_openai.http import (
    ConnectionReset,
    Delay,
    FakeRequest,
    FakeResponse,
    Part,
    Provider,
)

LOOPBACK = "127.0.0.1"
# How often, in seconds, a long delay checks whether the client has hung up.
_POLL_SECONDS = 0.25


@attrs.frozen(kw_only=True)
class ServerAddress:
    """
    The address of a served provider, for clients.
    """

    base_url: str
    port: int


@contextlib.contextmanager
def serve(provider: Provider, *, port: int = 0) -> Generator[ServerAddress, None, None]:
    """
    Serve a provider on loopback until the block ends.

    Args:
        provider: The provider that answers.
        port: The port to listen on; 0 picks a free one.

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
    # Not http.server's own class, which looks up this machine's name.
    # On Windows, two programs could share a reusable port.
    allow_reuse_address = os.name != "nt"
    # A burst of clients must not be refused before they are accepted.
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
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type] # passed on unchanged

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
                self._send_plain(answer)
        except ConnectionResetError:
            self._reset()
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

    def _send_plain(self, answer: FakeResponse) -> None:
        body = b"".join(self._body_chunks(answer.parts))
        self._send_head(answer, "Content-Length", str(len(body)))
        self.wfile.write(body)

    def _send_parts(self, answer: FakeResponse) -> None:
        self._send_head(answer, "Transfer-Encoding", "chunked")
        for data in self._body_chunks(answer.parts):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def _body_chunks(self, parts: Iterator[Part]) -> Iterator[bytes]:
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
            if self._stopping.wait(min(left, _POLL_SECONDS)) or self._client_closed():
                raise ConnectionAbortedError

    def _client_closed(self) -> bool:
        # Not select.select, which fails for descriptors above 1,023.
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            return bool(selector.select(0)) and not self.connection.recv(1, socket.MSG_PEEK)

    def _reset(self) -> None:
        # Close the connection with a TCP reset, as a failing network does.
        self.close_connection = True
        with contextlib.suppress(OSError):
            linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """
        Log nothing: the provider records its requests.
        """
